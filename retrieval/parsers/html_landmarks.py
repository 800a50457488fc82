"""The landmarks of a page: where its content is."""

from collections.abc import Callable
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.parsers.html_endings import find_endings
from retrieval.parsers.html_visibility import has_main, is_hidden, is_main

__all__ = ["Landmarks"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_BESIDE = frozenset(("aside", "footer"))
_AROUND = _BESIDE | {"header"}


class Landmarks:
    """The landmarks of a page.

    Attributes:
        parts: Its content, in order: `main` (also by role), else the whole page. What is around `main` is the same on
            all pages of a site: its name, ways to other pages, who made it. A title that `main` lacks stays.
    """

    def __init__(self, root: Any) -> None:
        self.parts, self._titled = _find_content(root)
        self._endings = find_endings(self.parts[-1])

    def is_ending(self, element: Any) -> bool:
        """Tell whether an element stands behind the content of all pages alike: a vote, or a link to the next page."""
        return element in self._endings

    def is_footer(self, element: Any) -> bool:
        """Tell whether an element is the footer of the content: of `main`, or of what the one title stands in.

        Others, such as those of cards, have prices in them.
        """
        return element.tag == "footer" and element.getparent() in self._titled


def _find_content(root: Any) -> tuple[list[Any], frozenset[Any]]:
    """Return the parts that are a page's content, and its `main` elements with what is around their title, if it uses
    them for that.

    It doesn't where more text is beside them than in them, and in no header, footer or aside.
    """
    mains: list[Any] = []

    def leave_out(element: Any) -> bool:
        if is_hidden(element):
            return True
        if is_main(element):
            mains.append(element)
            return True
        return element.tag in _AROUND

    if not has_main(root):
        return [root], frozenset()
    beside = _count_characters(root, leave_out)
    if sum(_count_characters(main, is_hidden) for main in mains) <= beside:
        return [root], frozenset()
    titles = [title for main in mains for title in _list_titles(main)]
    if not titles:
        return [*_list_titles(root, mains[0])[-1:], *mains], frozenset(mains)
    return mains, frozenset(mains).union(titles[0].iterancestors() if len(titles) == 1 else ())


def _list_titles(part: Any, end: Any = None) -> list[Any]:
    """List the headings of the first level that a page shows in a part, up to an element."""
    titles: list[Any] = []
    walk = etree.iterwalk(part, events=("start",))
    for _, element in walk:
        if element is end:
            break
        hidden = is_hidden(element) or element.tag in _BESIDE
        if hidden or element.tag == "h1":
            walk.skip_subtree()
        if element.tag == "h1" and not hidden and _count_characters(element, is_hidden):
            titles.append(element)
    return titles


def _count_characters(part: Any, leave_out: Callable[[Any], bool]) -> int:
    total = 0
    walk = etree.iterwalk(part, events=("start",))
    for _, element in walk:
        if element is not part:
            total += len((element.tail or "").strip())
            if leave_out(element):
                walk.skip_subtree()
                continue
        total += len((element.text or "").strip())
    return total
