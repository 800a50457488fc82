"""Parts of a page that a click opens: their words are on the page for whoever reads the line above them."""

from collections.abc import Iterator
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, is_hidden, is_switched_off, is_unseen, open_element

__all__ = ["open_disclosures"]

_MOST_LINKED = 1 / 2
"""Of a part's text: one with more of it in links is a menu."""
_MOST_OPENERS = 2000
_MOST_TIMES = 4
"""Times that all elements of a page may be looked at: parts may be in each other."""
_LONGEST = 300
_MOST_ELEMENTS = 50
"""Of a line that somebody clicks on: an element with more characters or elements has parts of the page in it."""


def open_disclosures(root: Any) -> None:
    """Show what stands closed behind a question or a heading, as it is for whoever clicks on that.

    Only what says that it is closed (`aria-expanded`), and of which part, opens something, by words that are seen to
    click on; menus stay closed.
    """
    openers = root.findall(".//*[@aria-expanded]")[:_MOST_OPENERS]
    if not openers:
        return
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    budget = _MOST_TIMES * sum(1 for _ in root.iter())
    verdicts: dict[Any, bool] = {None: False}
    for opener in openers:
        around = {opener, *opener.iterancestors()}
        panels = [panel for panel in _find_panels(opener, ids) if is_switched_off(panel) and panel not in around]
        if budget < 0 or not panels or _is_hidden_in_page(opener, verdicts) or not _has_words(opener):
            continue
        for panel in panels:
            budget -= sum(1 for _ in panel.iter())
            if budget > 0 and not _is_menu(panel):
                open_element(panel)


def _is_hidden_in_page(element: Any, verdicts: dict[Any, bool]) -> bool:
    """Tell whether an element or one around it is hidden; the verdict of each is kept."""
    path: list[Any] = []
    while element not in verdicts:
        path.append(element)
        element = element.getparent()
    hidden = verdicts[element]
    for inner in reversed(path):
        hidden = hidden or is_hidden(inner)
        verdicts[inner] = hidden
    return hidden


def _has_words(opener: Any) -> bool:
    """Tell whether an element shows a line of words, which somebody can click on."""
    length = 0
    pending = [opener]
    for _ in range(_MOST_ELEMENTS):
        if not pending:
            return 0 < length <= _LONGEST
        element = pending.pop()
        length += sum(len((text or "").strip()) for text in (element.text, *(child.tail for child in element)))
        pending += [child for child in element if not is_unseen(child)]
    return False


def _find_panels(opener: Any, ids: dict[str, Any]) -> Iterator[Any]:
    """Yield the parts that an element says it opens; of a heading without such a word, what comes right behind it."""
    panels = [ids[name] for name in dict.fromkeys(opener.get("aria-controls", "").split()) if name in ids]
    yield from panels
    headings = [element for element in (opener, *opener.iterancestors()) if element.tag in HEADINGS]
    if not panels and headings and (behind := headings[0].getnext()) is not None:
        yield behind


def _is_menu(panel: Any) -> bool:
    linked = sum(len(text.strip()) for link in panel.iter("a") for text in link.itertext())
    return linked >= _MOST_LINKED * sum(len(text.strip()) for text in panel.itertext())
