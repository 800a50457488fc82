"""The tabs of a page: their names stand in a row above panels of which one is shown, and are read each with its own.

Generators of documentation write them by role, or as labels of radio buttons, which need no script.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.parsers.html_visibility import is_switched_off, is_unseen, open_element, read_role

__all__ = ["open_tab_panels"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_FIRST_TEXTS = 20  # of a tab, among which its words have to be
_LONGEST_NAME = 100
_MOST_TEXTS = 200  # of a tab that has a name
_MOST = 500  # tabs of a page that get their names, and rows of them that are looked at
_MOST_ELEMENTS = 5000  # of what stands in one part of a page with a row of tabs: there may be many, in each other


def open_tab_panels(root: Any) -> None:
    """Show the panels of tabs as whoever chooses their tabs sees them, where a page has a tab to be seen for each.

    A panel that no tab opens is as hidden as anything else. Where it is known which tab opens a panel, that tab's name
    goes to the panel's beginning.
    """
    if root.find(".//*[@role='tabpanel']") is not None:
        _open_panels(root)
    for tab, panel in [*islice(_pair_by_role(root), _MOST), *islice(_pair_labels(root), _MOST)]:
        _move_name(tab, panel)


def _open_panels(root: Any) -> None:
    panels: list[Any] = []
    tabs = depth = 0  # the depth is that of hidden elements within each other
    for event, element in etree.iterwalk(root, events=("start", "end")):
        begins, role = event == "start", read_role(element)
        if role == "tabpanel":
            panels += [element] if begins else []
        elif is_switched_off(element):
            depth += 1 if begins else -1
        elif begins and role == "tab" and not depth:
            tabs += any(text.strip() for text in islice(element.itertext(), _FIRST_TEXTS))
    for panel in panels if tabs >= len(panels) else ():
        open_element(panel)


def _pair_by_role(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield tabs with their panels, by the ids that one of them names, else by their order, if they are as many."""
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    paired = set[Any]()
    for panel in root.iterfind(".//*[@role='tabpanel']"):
        tab = ids.get(panel.get("aria-labelledby"))
        if tab is not None and read_role(tab) == "tab":
            paired.update((tab, panel))
            yield tab, panel
    parts: dict[Any, list[Any]] = {}  # There may be many lists of tabs in one part, each with the same panels.
    for tabs in islice(root.iterfind(".//*[@role='tablist']"), _MOST):
        part = tabs.getparent()
        if part not in parts:
            parts[part] = _list_outer_panels(part)
        names = [tab for tab in tabs.iterfind(".//*[@role='tab']") if tab not in paired]
        panels = [panel for panel in parts[part] if panel not in paired]
        if len(names) == len(panels):
            paired.update(names, panels)
            yield from zip(names, panels, strict=True)


def _list_outer_panels(part: Any) -> list[Any]:
    """List the panels of a part of the page without those that are in another one; none where the part is large."""
    panels: list[Any] = []
    walk = etree.iterwalk(part, events=("start",))
    for number, (_, element) in enumerate(walk):
        if number > _MOST_ELEMENTS:
            return []
        if element is not part and read_role(element) == "tabpanel":
            panels.append(element)
            walk.skip_subtree()
    return panels


def _pair_labels(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield labels of radio buttons in a row with the parts of what stands behind it, if they are as many."""
    rows = dict.fromkeys(label.getparent() for label in root.iter("label"))
    radios: dict[Any, int] = {}  # by their parent: there may be many rows in one
    for row in islice(rows, _MOST):
        labels = [child for child in row if child.tag == "label"]
        behind = row.getnext()
        if behind is None or len(labels) < 2 or any(child.tag not in ("label", "input") for child in row):
            continue
        if len(behind) != len(labels):
            continue
        around = row.getparent()
        if around not in radios:
            radios[around] = _count_radios(around)
        if radios[around] + _count_radios(row) >= len(labels):
            yield from zip(labels, behind, strict=True)


def _count_radios(part: Any) -> int:
    return sum(child.tag == "input" and child.get("type") == "radio" for child in part)


def _move_name(tab: Any, panel: Any) -> None:
    """Write a tab's name, if both are to be seen, at the beginning of its panel, where it doesn't stand yet.

    What nobody sees of a tab stays where it is.
    """
    if is_unseen(panel) or tab in panel.iterancestors() or any(map(is_switched_off, (tab, *tab.iterancestors()))):
        return
    texts = tab.xpath(".//text()")
    words = [text for text in texts if not _is_unseen_in(tab, text)] if len(texts) <= _MOST_TEXTS else []
    name = " ".join(" ".join(words).split())
    if not 0 < len(name) <= _LONGEST_NAME:
        return
    for text in words:
        setattr(text.getparent(), "tail" if text.is_tail else "text", None)
    first = next((text for text in panel.itertext() if text.strip()), "")
    if " ".join(first.split()) != name:
        line = etree.Element("p")
        line.text = name
        if panel.tag == "pre":
            panel.addprevious(line)
        else:
            line.tail, panel.text = panel.text, None
            panel.insert(0, line)


def _is_unseen_in(tab: Any, text: Any) -> bool:
    """Tell whether a text of a tab is in a part of it that nobody sees."""
    element = text.getparent().getparent() if text.is_tail else text.getparent()
    while element is not tab:
        if is_unseen(element):
            return True
        element = element.getparent()
    return False
