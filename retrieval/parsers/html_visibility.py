"""The parts of a page that a reader sees: not its navigation, its forms, its scripts, nor what is hidden by a style."""

import re
from typing import Any

__all__ = ["HEADINGS", "count_hidden", "is_hidden", "is_permalink"]

HEADINGS = {f"h{level}": level for level in range(1, 7)}

_HIDDEN_TAGS = frozenset(
    "script style template noscript svg math canvas iframe object embed audio video nav select input "
    "textarea datalist dialog head".split()
)
_PERMALINKS = re.compile(r"\b(?:headerlink|header-?anchor|heading-?anchor|hash-link|permalink|anchorjs-link)\b", re.I)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0*\.?0*(?:;|$)|font-size:0(?:px|em|rem|pt|%)?(?:;|$)"
)
_NAMED_BY_BUTTONS = frozenset((*HEADINGS, "summary", "dt"))


def count_hidden(element: Any) -> int:
    """Count the characters in an element that is hidden by more than what it is."""
    if not isinstance(element.tag, str) or element.tag in _HIDDEN_TAGS:
        return 0
    if "hidden" not in element.attrib and not _has_hiding_style(element):
        return 0
    return len(_SPACE.sub(" ", "".join(element.itertext())).strip())


def is_hidden(element: Any) -> bool:
    if not isinstance(element.tag, str) or element.tag in _HIDDEN_TAGS or "hidden" in element.attrib:
        return True
    if element.tag == "button" and not _opens_text(element):
        return True
    if element.get("aria-hidden", "").strip().lower() == "true":
        return True
    return _has_hiding_style(element)


def _opens_text(button: Any) -> bool:
    """Tell whether a button's words are a heading, or a question, of the text that it opens, as in an accordion."""
    if "aria-expanded" in button.attrib or "aria-controls" in button.attrib:
        return True
    return any(above.tag in _NAMED_BY_BUTTONS or above.get("role") == "heading" for above in button.iterancestors())


def _has_hiding_style(element: Any) -> bool:
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(re.sub(r"\s|!important", "", style.lower())) is not None


def is_permalink(element: Any) -> bool:
    """Tell whether a link in a heading is only a mark that leads to the heading itself, such as `¶`."""
    if element.tag != "a":
        return False
    return _PERMALINKS.search(element.get("class", "")) is not None or (
        element.get("href", "").startswith("#") and not any(map(str.isalnum, "".join(element.itertext())))
    )
