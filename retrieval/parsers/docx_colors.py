"""The colours of a Word document: that of a run's letters, and that of what is behind them, as far as they can be told.

Colours are written `RRGGBB`, and "" is one that can't be told: Word chooses it, a table's style may give it, a picture
may be there.
"""

import re
from collections.abc import Iterable

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Archive, Element, get_attribute
from retrieval.parsers.docx_styles import DocxStyles, find_value, has_effects

__all__ = ["DocxColors"]

_PAPER = "FFFFFF"
_NEAR_PAPER = frozenset(("FFFFFE", "FEFEFE"))
_COLOR = re.compile("[0-9A-F]{6}")
_HIGHLIGHTS = {"black": "000000", "white": "FFFFFF", "yellow": "FFFF00", "red": "FF0000", "blue": "0000FF"}
_BEHIND = re.compile(r"z-index:\s*-")
_SHAPE = re.compile(rb"<(?:\w+:)?(?:anchor|shape|rect|roundrect|oval|polyline|curve|image|group)\b")


class DocxColors:
    """Tells by the colours of runs whether they are seen.

    Args:
        root: The document.
        archive: With the headers and footers, whose shapes stand behind the text.
        headers: Their names.
    """

    def __init__(self, root: Element, archive: Archive, headers: Iterable[str], styles: DocxStyles) -> None:
        self._styles = styles
        self._parent: Element | None = None  # of the last run, with the properties of its paragraph and their colour
        self._around: Element | None = None
        self._color = ""
        is_covered = root.find("{*}background") is not None or _has_shapes_behind(root)
        self._page = "" if is_covered or any(_may_have_shapes(archive, name) for name in headers) else _PAPER

    def is_unseen(self, run: Element, properties: Element | None) -> bool:
        """Tell whether a run's letters have the colour of what is behind them."""
        own = find_value(properties, "color") or self._styles.find_color(find_value(properties, "rStyle") or "")
        if (parent := run.getparent()) is not self._parent:
            self._parent = parent
            self._around = next((above.find("{*}pPr") for above in run.iterancestors("{*}p")), None)
            self._color = self._styles.find_color(find_value(self._around, "pStyle") or "")
        color = _write_color(own or self._color)
        if not color or color != self._find_ground(run, properties, self._around):
            return False
        if has_effects(properties) or any(map(self._styles.has_effects, self._list_styles(properties))):
            return False
        return next(run.iter("{*}drawing", "{*}pict"), None) is None  # with boxes, which have colours of their own

    def _list_styles(self, properties: Element | None) -> list[str]:
        return [find_value(properties, "rStyle") or "", find_value(self._around, "pStyle") or ""]

    def _find_ground(self, run: Element, properties: Element | None, paragraph: Element | None) -> str:
        """Return the colour of the innermost of what is behind a run: a highlight, a shade, a cell, the page."""
        if (highlight := find_value(properties, "highlight")) not in (None, "none"):
            return _HIGHLIGHTS.get(highlight or "", "")
        for part, style in ((properties, "rStyle"), (paragraph, "pStyle")):
            shade = _read_shade(part)
            if shade is None and self._styles.is_shaded(find_value(part, style) or ""):
                return ""
            if shade is not None:
                return shade
        around = next(run.iterancestors("{*}tc", "{*}txbxContent"), None)
        if around is None:
            return self._page
        return _read_shade(around.find("{*}tcPr")) or ""  # a cell may have the shade of its table's style


def _read_shade(properties: Element | None) -> str | None:
    """Return the colour that properties put behind what has them; None where they say nothing, or that it is none."""
    shade = properties.find("{*}shd") if properties is not None else None
    if shade is None:
        return None
    pattern, fill = get_attribute(shade, "val", "clear"), get_attribute(shade, "fill", "auto")
    if pattern != "nil" and get_attribute(shade, "themeFill"):
        return ""
    if pattern == "nil" or (pattern == "clear" and fill == "auto"):
        return None
    return _write_color(fill) if pattern == "clear" else ""


def _write_color(color: str) -> str:
    color = color.upper()
    return _PAPER if color in _NEAR_PAPER else color if _COLOR.fullmatch(color) else ""


def _has_shapes_behind(root: Element) -> bool:
    """Tell whether a shape may stand behind the text."""
    anchors = (get_attribute(anchor, "behindDoc") for anchor in root.iter("{*}anchor"))
    old_shapes = (get_attribute(shape, "style") for shape in root.iter("{urn:schemas-microsoft-com:vml}*"))
    return any(value in ("1", "true") for value in anchors) or any(map(_BEHIND.search, old_shapes))


def _may_have_shapes(archive: Archive, name: str) -> bool:
    try:
        return _SHAPE.search(archive.read(name)) is not None
    except DocumentUnreadable:  # the text needs no part that is damaged
        return True
