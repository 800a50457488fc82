"""The landmarks of a page: where its content is."""

from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.parsers.html_visibility import is_hidden

__all__ = ["Landmarks"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_AROUND = frozenset(("aside", "footer", "header"))
_SECTIONS = frozenset(("article", "aside", "blockquote", "body", "figure", "main", "section", "td"))


class Landmarks:
    """The landmarks of a page.

    Attributes:
        parts: Its content, in order: `main` (also by role), else the whole page. What is around `main` is the same on
            all pages of a site: its name, ways to other pages, who made it. A title that `main` lacks stays.
    """

    def __init__(self, root: Any) -> None:
        self.parts, mains = _find_content(root)
        title = next((title for main in mains if (title := main.find(".//h1")) is not None), None)
        titled = frozenset([*mains, *(() if title is None else title.iterancestors())])
        self._footers = frozenset(footer for main in mains for footer in _find_footers(main, titled))

    def is_footer(self, element: Any) -> bool:
        """Tell whether an element is the footer of the content: of `main`, or of what its title stands in."""
        return element in self._footers


def _find_footers(main: Any, titled: frozenset[Any]) -> Iterator[Any]:
    """Find the footers whose next section above is one of these."""
    sections: list[Any] = []
    for event, element in etree.iterwalk(main, events=("start", "end")):
        if element.tag in _SECTIONS or _is_main(element):
            if event == "start":
                sections.append(element)
            else:
                sections.pop()
        elif event == "start" and element.tag == "footer" and sections[-1] in titled:
            yield element


def _find_content(root: Any) -> tuple[list[Any], list[Any]]:
    """Return the parts that are a page's content, and its `main` elements, if it uses them for that.

    It doesn't where more text is beside them than in them, and in no header, footer or aside.
    """
    mains: list[Any] = []

    def leave_out(element: Any) -> bool:
        if is_hidden(element):
            return True
        if _is_main(element):
            mains.append(element)
            return True
        return element.tag in _AROUND

    if root.find(".//main") is None and root.find(".//*[@role='main']") is None:
        return [root], []
    beside = _count_characters(root, leave_out)
    if sum(_count_characters(main, is_hidden) for main in mains) <= beside:
        return [root], []
    title = None if any(main.find(".//h1") is not None for main in mains) else root.find(".//h1")
    if title is None or any(map(is_hidden, (title, *title.iterancestors()))):
        return mains, mains
    return [title, *mains], mains


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


def _is_main(element: Any) -> bool:
    return element.tag == "main" or element.get("role") == "main"
