"""Parts of a page that a click opens: their words are on the page for whoever reads the line above them."""

from collections.abc import Iterator
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, is_switched_off, open_element

__all__ = ["open_disclosures"]

_MOST_LINKED = 1 / 2
"""Of a part's text: one with more of it in links is a menu."""
_MOST_OPENERS = 2000
_MOST_TIMES = 4
"""Times that all elements of a page may be looked at: parts may be in each other."""


def open_disclosures(root: Any) -> None:
    """Show what stands closed behind a question or a heading, as it is for whoever clicks on that.

    Only what says that it is closed (`aria-expanded`), and of which part, opens something; menus stay closed.
    """
    openers = root.findall(".//*[@aria-expanded]")[:_MOST_OPENERS]
    if not openers:
        return
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    left = _MOST_TIMES * sum(1 for _ in root.iter())
    for opener in openers:
        around = [opener, *opener.iterancestors()]
        for panel in _find_panels(opener, ids):
            if left > 0 and is_switched_off(panel) and panel not in around:
                left -= sum(1 for _ in panel.iter())
                if not any(map(is_switched_off, around)) and not _is_menu(panel):
                    open_element(panel)


def _find_panels(opener: Any, ids: dict[str, Any]) -> Iterator[Any]:
    """Yield the parts that an element says it opens; of a heading without such a word, what comes right behind it."""
    panels = [ids[name] for name in opener.get("aria-controls", "").split() if name in ids]
    yield from panels
    headings = [element for element in (opener, *opener.iterancestors()) if element.tag in HEADINGS]
    if not panels and headings and (behind := headings[0].getnext()) is not None:
        yield behind


def _is_menu(panel: Any) -> bool:
    linked = sum(len(text.strip()) for link in panel.iter("a") for text in link.itertext())
    return linked >= _MOST_LINKED * sum(len(text.strip()) for text in panel.itertext())
