"""Tables, headings and titles that are written with other tags, by the role or the class of their elements."""

import re
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, is_unseen, read_role

__all__ = ["find_written_title", "name_by_role"]

_TAGS = {
    **dict.fromkeys(("table", "grid", "treegrid"), "table"),
    "rowgroup": "tbody",
    "row": "tr",
    **dict.fromkeys(("cell", "gridcell"), "td"),
    **dict.fromkeys(("columnheader", "rowheader"), "th"),
}
_KEPT_TAGS = frozenset(("html", "body", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", *HEADINGS))
"""Elements that no role makes anything else: a cell that is a heading as well is a cell."""
_LEVEL = re.compile(r"[1-6]")
_TITLES = (("MsoTitle", ""), ("title", "doc-content"))
"""The classes of a document's title, a paragraph as others, in pages by Word and by Google, and that of such a page."""


def name_by_role(root: Any) -> None:
    """Give elements the tags of what they are: browsers show these alike, and read them aloud so.

    Of a table without tags its cells are apart by a style sheet alone, and would be one word. What nobody sees because
    of its tag, such as a script, keeps that.
    """
    for element in root.iter("*"):
        role = read_role(element)
        if (role != "heading" and role not in _TAGS) or element.tag in _KEPT_TAGS or is_unseen(element):
            continue
        level = element.get("aria-level", "").strip()
        element.tag = _TAGS.get(role) or f"h{level if _LEVEL.fullmatch(level) else 2}"


def find_written_title(root: Any) -> str:
    """Return the words of the title that a page has as a paragraph; "" where it has none."""
    body = root.find("body")
    of_page = set[str]() if body is None else set(body.get("class", "").split())
    classes = {title for title, page in _TITLES if not page or page in of_page}
    titles = (one for one in root.iter("p") if not classes.isdisjoint(one.get("class", "").split()))
    visible = (one for one in titles if not any(map(is_unseen, (one, *one.iterancestors()))))
    return "".join(next(visible, root.makeelement("p")).itertext())
