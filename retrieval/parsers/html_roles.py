"""Elements that say by their role or their class what they are: tables, headings and titles written with other tags."""

import re
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, read_role

__all__ = ["name_by_role"]

_TAGS = {
    **dict.fromkeys(("table", "grid", "treegrid"), "table"),
    "rowgroup": "tbody",
    "row": "tr",
    **dict.fromkeys(("cell", "gridcell"), "td"),
    **dict.fromkeys(("columnheader", "rowheader"), "th"),
}
_TABLES = frozenset(("table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption"))
_LEVEL = re.compile(r"[1-6]")
_TITLE = re.compile(r"(?<!\S)MsoTitle(?!\S)")
"""The class by which Word calls a document's title in pages, a paragraph as others."""


def name_by_role(root: Any) -> None:
    """Give elements the tags of what they are: browsers show these alike, and read them aloud so.

    Of a table without tags its cells are apart by a style sheet alone, and would be one word.
    """
    for element in root.iter("*"):
        role = read_role(element)
        if role == "heading" and element.tag not in HEADINGS:
            level = element.get("aria-level", "").strip()
            element.tag = f"h{level if _LEVEL.fullmatch(level) else 2}"
        elif role in _TAGS and element.tag not in _TABLES:
            element.tag = _TAGS[role]
        elif element.tag == "p" and _TITLE.search(element.get("class", "")):
            element.tag = "h1"
