"""The styles and the numbering of a Word document: which paragraphs are headings, lists or code, and their labels."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from retrieval.parsers.archive import Element, get_attribute, to_number
from retrieval.parsers.list_numbers import write_letters, write_roman
from retrieval.parsers.text_writer import is_code

__all__ = ["DocxStyles", "Numbering", "find_value", "has_effects", "read_outline", "read_switch"]

_HEADING = re.compile(r"heading (\d)", re.I)
_DEEPEST = 9
_EFFECTS = ("outline", "shadow", "emboss", "imprint", "glow", "textFill")


def find_value(element: Element | None, *path: str) -> str | None:
    """Return the `val` of the element at a path of names below another, or None."""
    if element is None:
        return None
    target = element.find("/".join("{*}" + name for name in path))
    return get_attribute(target, "val") if target is not None else None


def read_switch(properties: Element | None, name: str) -> bool | None:
    """Read a property that is on where it stands without a value; None where it doesn't stand."""
    value = find_value(properties, name)
    return None if value is None else value not in ("0", "false", "off")


def has_effects(properties: Element | None) -> bool:
    """Tell whether letters have a contour, a shadow or a filling, by which they are seen whatever their colour is."""
    if properties is None:
        return False
    contour = properties.find("{*}textOutline")
    has_contour = contour is not None and contour.find("{*}noFill") is None
    return has_contour or any(read_switch(properties, name) for name in _EFFECTS)


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str
    outline: str | None
    hidden: bool | None
    shaded: bool
    effects: bool
    color: str
    position: str
    numbering: tuple[str | None, str | None]


class DocxStyles:
    """Paragraph and character styles by id; what one doesn't say comes from the one it is based on."""

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        for style in root.iterchildren("{*}style") if root is not None else ():
            self._styles[get_attribute(style, "styleId")] = _Style(
                find_value(style, "name") or "",
                find_value(style, "basedOn") or "",
                find_value(style, "pPr", "outlineLvl"),
                read_switch(style.find("{*}rPr"), "vanish"),
                any(style.find(path) is not None for path in ("./*/{*}shd", "./{*}rPr/{*}highlight")),
                has_effects(style.find("{*}rPr")),
                find_value(style, "rPr", "color") or "",
                find_value(style, "rPr", "vertAlign") or "",
                (find_value(style, "pPr", "numPr", "numId"), find_value(style, "pPr", "numPr", "ilvl")),
            )

    def find_level(self, style: str) -> int:
        """Return the level of a heading's style, from 1; 0 for other styles."""
        for one in self._chain(style):
            if match := _HEADING.fullmatch(one.name):
                return int(match[1])
            if one.outline is not None:
                return read_outline(one.outline)
        return 0

    def is_title(self, style: str) -> bool:
        return any(one.name.lower() == "title" for one in self._chain(style))

    def is_code(self, style: str) -> bool:
        return any(is_code(one.name) for one in self._chain(style))

    def is_contents(self, style: str) -> bool:
        """Tell whether a paragraph is a row of the table of contents, which only repeats headings."""
        return any(one.name.lower().startswith("toc ") for one in self._chain(style))

    def is_hidden(self, style: str) -> bool:
        return next((one.hidden for one in self._chain(style) if one.hidden is not None), False)

    def is_shaded(self, style: str) -> bool:
        """Tell whether a style may put a colour behind what has it, as a shade or a highlight."""
        return any(one.shaded for one in self._chain(style))

    def has_effects(self, style: str) -> bool:
        return any(one.effects for one in self._chain(style))

    def find_color(self, style: str) -> str:
        """Return the colour of a style's text, `auto` where Word chooses it; "" where it says nothing."""
        return next((one.color for one in self._chain(style) if one.color), "")

    def find_position(self, style: str) -> str:
        """Return `superscript`, `subscript`, or whatever else a style says of where its text stands; "" for nothing."""
        return next((one.position for one in self._chain(style) if one.position), "")

    def find_numbering(self, style: str) -> tuple[str | None, str | None]:
        """Return the ids of a style's numbering and of its level."""
        return next((one.numbering for one in self._chain(style) if one.numbering[0] is not None), (None, None))

    def _chain(self, style: str) -> list[_Style]:
        chain: list[_Style] = []
        while style in self._styles and len(chain) < _DEEPEST:
            chain.append(self._styles[style])
            style = chain[-1].based_on
        return chain


def read_outline(value: str) -> int:
    """Return the level of a heading by its outline level, which counts from 0; 9 is body text."""
    level = to_number(value, _DEEPEST)
    return level + 1 if level < _DEEPEST else 0


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class _List:
    levels: dict[int, _Level] = field(default_factory=dict[int, _Level])
    link: str = ""


class Numbering:
    """Labels of numbered paragraphs, in the order in which they are asked for."""

    def __init__(self, root: Element | None, styles: DocxStyles) -> None:
        self._styles = styles
        self._lists: dict[str, _List] = {}
        self._numbers: dict[str, tuple[str, dict[int, int]]] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        self._open_lists: set[str] = set()
        if root is None:
            return
        for one in root.iterchildren("{*}abstractNum"):
            link = find_value(one, "numStyleLink") or ""
            self._lists[get_attribute(one, "abstractNumId")] = _List(_read_levels(one), link)
        for one in root.iterchildren("{*}num"):
            starts = {
                to_number(get_attribute(override, "ilvl")): to_number(find_value(override, "startOverride"), 1)
                for override in one.iterchildren("{*}lvlOverride")
                if override.find("{*}startOverride") is not None
            }
            self._numbers[get_attribute(one, "numId")] = find_value(one, "abstractNumId") or "", starts

    def make_label(self, number: str | None, level: str | None) -> str | None:
        """Count a paragraph, and return its label: "-" for a bullet; None if it has none."""
        if number is None or number not in self._numbers:
            return None
        key, starts = self._numbers[number]
        levels = self._find_levels(key)
        place = to_number(level)
        if place not in levels:
            return None
        counts = self._counts[key]
        if number not in self._open_lists:
            self._open_lists.add(number)
            for at, start in starts.items():
                counts[at] = start - 1
        counts[place] = counts.get(place, levels[place].start - 1) + 1
        for deeper in [at for at in counts if at > place]:
            del counts[deeper]
        return _fill_in(levels, place, counts)

    def _find_levels(self, key: str) -> dict[int, _Level]:
        one = self._lists.get(key, _List())
        if one.link:
            number = self._styles.find_numbering(one.link)[0]
            key = self._numbers.get(number or "", ("", {}))[0]
            one = self._lists.get(key, one)
        return one.levels


def _read_levels(abstract: Element) -> dict[int, _Level]:
    return {
        to_number(get_attribute(level, "ilvl")): _Level(
            find_value(level, "numFmt") or "decimal",
            find_value(level, "lvlText") or "",
            to_number(find_value(level, "start"), 1),
        )
        for level in abstract.iterchildren("{*}lvl")
    }


def _fill_in(levels: dict[int, _Level], place: int, counts: dict[int, int]) -> str | None:
    level = levels[place]
    if level.format == "bullet":
        return "-"
    if level.format == "none" or not level.text:
        return None

    def number(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        above = levels.get(at, level)
        return _write_number(counts.get(at, above.start), above.format)

    return re.sub(r"%(\d)", number, level.text).strip() or None


def _write_number(number: int, format_: str) -> str:
    if format_ in ("lowerLetter", "upperLetter"):
        text = write_letters(number, repeated=True)
    elif format_ in ("lowerRoman", "upperRoman"):
        text = write_roman(number)
    else:
        return str(number).zfill(2) if format_ == "decimalZero" else str(number)
    return text.upper() if format_.startswith("upper") else text
