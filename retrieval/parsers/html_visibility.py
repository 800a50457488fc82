"""The parts of a page that a reader sees: not its navigation, its forms, its scripts, nor what is hidden by a style."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

__all__ = [
    "HEADINGS",
    "PADDED",
    "count_hidden",
    "forget_content",
    "has_main",
    "is_content",
    "is_hidden",
    "is_main",
    "is_opened_by_button",
    "is_permalink",
    "is_switched_off",
    "is_unseen",
    "open_element",
    "read_role",
]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

HEADINGS = {f"h{level}": level for level in range(1, 7)}

_NO_TEXT = frozenset(
    "script style noscript iframe embed audio video nav search select input head title desc metadata defs symbol "
    "annotation annotation-xml rt rtc rp".split()
)
"""Elements whose content is no text of the page: programs, controls, what stands for something else. Of SVG and MathML,
descriptions and the same formula in another notation; the reading of Chinese and Japanese characters, which would stand
in the middle of a word (`東(とう)京(きょう)`)."""

_NO_TEXT_ROLES = frozenset("navigation search menu menubar dialog alertdialog contentinfo".split())
_NO_TEXT_CLASSES = frozenset(
    "breadcrumb breadcrumbs d-print-none hidden-print mw-editsection mw-portlet no-print noprint print:hidden "
    "printfooter robots-nocontent table-of-contents table_of_contents toc toc-macro "
    "msotoc1 msotoc2 msotoc3 msotoc4 msotoc5 msotoc6 msotoc7 msotoc8 msotoc9 "
    "md-skip skip-link skip-navigation skip-to-content skiptocontent "
    "cc-banner cc-window cookie-banner cookie-consent cookie-notice cookieconsent cybotcookiebotdialog "
    "onetrust-consent-sdk "
    "article-feedback article-vote article-votes articleratings feedback-toolbar intercom-reaction-picker md-feedback "
    "page-feedback was-this-helpful pagination pagination-nav pager prev-next "
    "article-author article-more-questions article-relatives article-sidebar collapsible-sidebar md-source-file "
    "more-topics__list post-likes recent-articles related-articles related-topics related_articles "
    "suggested-topics".split()
)
"""The same by an element's role, or by its class or id, as the generators of pages write them: ways to other pages and
on this one, questions about cookies and whether a page helped, other articles of a help center, wikis' links to edit a
section."""

_NAMED_BY_ID = frozenset(("aside", "div", "ol", "p", "ul"))
_SECTIONS = frozenset(("document", "section"))
"""Headings and sections, which generators may write as `div` with these classes, have their ids of their titles: one on
breadcrumbs is called so."""
_TOPICS = frozenset(("pagination", "pager"))
"""Parts of an interface whose description has a section about them, with that id and a heading in it."""
_has_heading: Any = etree.XPath(  # pyright: ignore[reportUnknownVariableType]
    "boolean(.//h2 | .//h3 | .//h4 | .//h5 | .//h6)"
)
_WHOLE = frozenset(("body", "html"))
"""Elements whose classes may say what is on the page, as those of what its content stands in may."""
_MOST_TEXT = 2 / 3
"""Of a page: what has as much in it is its content, whatever it is called."""

_UNSHOWN = frozenset("template canvas object textarea datalist dialog".split())
"""Elements with text that a page shows only by a script, or when somebody asks for it."""

_STRUCK = frozenset(("del", "s", "strike"))
"""Elements whose text is no longer so, such as the price before: read aloud or cited it would be current. Of Word's
documents deletions are left out as well."""

_PERMALINKS = re.compile(r"\b(?:headerlink|header-?anchor|heading-?anchor|hash-link|permalink|anchorjs-link)\b", re.I)
_LINE_NUMBERS = re.compile(r"(?<!\S)(?:line-?no(?:s|div)?|(?:hljs-ln|line)-numbers?)(?!\S)", re.I)
_GUTTER = re.compile(r"(?<!\S)gutter(?!\S)", re.I)
_CODE = re.compile(r"(?<!\S)(?:code|hljs-ln-code)(?!\S)", re.I)
_NUMBERS = re.compile(r"[\d\s]+")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0*\.?0*(?:;|$)"
    r"|font-size:(?:0*\.?0*(?:px|em|rem|pt|%)?|[012](?:\.\d+)?p[xt])(?:;|$)|(?<!-)color:transparent"
    r"|(?<!-)color:rgba\((?:\d+,){3}0?\.?0\)|(?:left|top|text-indent):-\d{4,}|transform:scale\(0\)"
)
_NO_SIZE = re.compile(r"(?:^|;)(?:max-)?(?:height|width):0*\.?0*(?:px|r?em|pt|%|vh|vw)?(?=;|$)")
_CUT = re.compile(r"overflow(?:-[xy])?:(?:hidden|clip)")
PADDED = re.compile(r"(?:^|;)padding(?:-(?:top|bottom))?:(?:[1-9]|0*\.0*[1-9])")  # as what keeps its proportions is
_CLIPPED = re.compile(r"clip-path:inset\((?:100|50)%|clip-path:circle\(0|clip:rect\((?:[01](?:px)?,?){4}\)")
_FOR_READERS = re.compile(r"(?:^|;)(?:width|height):1px")
"""With a clip, what screen readers say: it is on the page for whoever can't see it."""
_CLOSED_STYLE = re.compile(rf"display:none|visibility:(?:hidden|collapse)|{_NO_SIZE.pattern}")
_COLOR = re.compile(r"(?<!-)color:([^;]+)")
_BACKGROUND = re.compile(r"background(?:-color)?:([^;]+)")
_WHITE = re.compile(r"#fff(?:f{3})?|white|rgba?\(255,255,255(?:,1(?:\.0)?)?\)|hsl\(0,0%,100%\)")
_MOST_PARTS = 30  # of what stands before an element, that may be buttons
_MOST_WRAPPERS = 3  # around what a button opens
_NAMED_BY_BUTTONS = frozenset((*HEADINGS, "summary", "dt"))


def count_hidden(element: Any) -> int:
    """Count the characters in a hidden element, unless it has no text of the page."""
    if not isinstance(element.tag, str) or element.tag in _NO_TEXT:
        return 0
    if not _is_unshown(element) and not is_switched_off(element):
        return 0
    return len(_SPACE.sub(" ", "".join(element.itertext())).strip())


def is_hidden(element: Any) -> bool:
    if is_unseen(element) or _is_navigation(element) or _is_line_number(element):
        return True
    return element.tag == "button" and not _opens_text(element)


def is_unseen(element: Any) -> bool:
    """Tell whether nobody sees an element as text, whatever place of the page it is in."""
    if not isinstance(element.tag, str) or element.tag in _NO_TEXT | _STRUCK:
        return True
    return _is_unshown(element) or is_switched_off(element)


def open_element(element: Any) -> None:
    """Take away what hides an element until somebody opens it."""
    element.attrib.pop("hidden", None)
    element.attrib.pop("aria-hidden", None)
    element.set("style", _CLOSED_STYLE.sub("", _read_style(element)))


def is_switched_off(element: Any) -> bool:
    """Tell whether attributes or a style hide an element."""
    hidden = "hidden" in element.attrib or element.get("aria-hidden", "").strip().lower() == "true"
    return hidden or _has_hiding_style(element, _read_style(element))


def is_main(element: Any) -> bool:
    return element.tag == "main" or read_role(element) == "main"


def has_main(element: Any) -> bool:
    """Tell whether an element is a page's main part, or has it in it."""
    return any(map(is_main, element.xpath("descendant-or-self::main | descendant-or-self::*[@role]")))


def read_role(element: Any) -> str:
    return element.get("role", "").strip().lower()


def _is_unshown(element: Any) -> bool:
    opener = "open" if element.tag == "dialog" else "shadowrootmode"  # A template with that is a part of the page.
    return element.tag in _UNSHOWN and opener not in element.attrib


def _is_navigation(element: Any) -> bool:
    if read_role(element) in _NO_TEXT_ROLES:
        return True
    classes = set(element.get("class", "").lower().split())
    names = (
        {element.get("id", "").lower()} if element.tag in _NAMED_BY_ID and classes.isdisjoint(_SECTIONS) else set[str]()
    )
    marks = _NO_TEXT_CLASSES & (classes | names)
    if not marks or element.tag in _WHOLE or (marks <= _TOPICS - classes and _has_heading(element)):
        return False
    return not is_content(element)


def is_content(element: Any) -> bool:
    """Tell whether an element has a page's main part, its title, or most of its text in it."""
    return element in _find_content(element.getroottree().getroot())


def forget_content() -> None:
    """Look anew for what is a page's content, since its elements have changed."""
    _find_content.cache_clear()


def is_opened_by_button(element: Any) -> bool:
    """Tell whether something to click on stands right before an element, as before what an accordion opens."""
    before = _find_before(element)
    for _ in range(_MOST_WRAPPERS):
        element = element.getparent() if before is None and element is not None else None
        before = _find_before(element) if element is not None else before
    return any(
        part.tag in ("button", "summary", "label") or read_role(part) == "button" or "onclick" in part.attrib
        for part in (islice(before.iter("*"), _MOST_PARTS) if before is not None else ())
    )


def _find_before(element: Any) -> Any:
    """Return the element right before another, or None."""
    return next(element.itersiblings("*", preceding=True), None)


@lru_cache(maxsize=1)
def _find_content(root: Any) -> frozenset[Any]:
    """Return a page's elements with a main part in them, a title (`h1`), all of its articles, or most of its text."""
    holders = set[Any]()
    for landmark in root.xpath("descendant-or-self::h1 | descendant-or-self::main | descendant-or-self::*[@role]"):
        above = landmark if landmark.tag == "h1" or is_main(landmark) else None
        while above is not None and above not in holders:
            holders.add(above)
            above = above.getparent()
    if articles := root.xpath("descendant-or-self::article"):
        first, last = ({one, *one.iterancestors()} for one in (articles[0], articles[-1]))
        holders |= first & last
    *_, (_, whole) = _measure(root)
    return frozenset(holders.union(element for element, length in _measure(root) if length >= _MOST_TEXT * whole))


def _measure(root: Any) -> Iterator[tuple[Any, int]]:
    """Yield elements with the lengths of their texts, each behind those in it, and the root last."""
    lengths = [0]
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "start":
            lengths.append(0)
            if element.tag in _NO_TEXT | _UNSHOWN:
                walk.skip_subtree()
            else:
                lengths[-1] += len((element.text or "").strip())
            continue
        length = lengths.pop()
        lengths[-1] += length + len((element.tail or "").strip())
        yield element, length


def _is_line_number(element: Any) -> bool:
    """Tell whether an element has nothing but the numbers of a listing's lines, which are no part of its code."""
    classes, is_cell = element.get("class", ""), element.tag in ("td", "th")
    if _LINE_NUMBERS.search(classes) is None and not (is_cell and _GUTTER.search(classes)):
        return False
    is_number = all(_NUMBERS.fullmatch(text) for text in element.itertext())
    return is_number and (not is_cell or _is_beside_code(element))


def _is_beside_code(cell: Any) -> bool:
    """Tell whether a cell is in front of one with code, and no number in a table of data, such as an invoice's."""
    beside = cell.getnext()
    if beside is None:
        return False
    return _CODE.search(beside.get("class", "")) is not None or beside.find(".//pre") is not None


def _opens_text(button: Any) -> bool:
    """Tell whether a button's words are a heading, or a question, of the text that it opens, as in an accordion."""
    if "aria-expanded" in button.attrib or "aria-controls" in button.attrib:
        return True
    return any(above.tag in _NAMED_BY_BUTTONS or read_role(above) == "heading" for above in button.iterancestors())


def _read_style(element: Any) -> str:
    style = element.get("style", "").lower()
    if element.tag == "font" and (color := element.get("color")):
        style = f"color:{color.lower()};{style}"
    return re.sub(r"\s|!important", "", style)


def _has_hiding_style(element: Any, style: str) -> bool:
    if _HIDDEN_STYLE.search(style) or _has_its_backgrounds_color(element, style):
        return True
    if _CLIPPED.search(style):
        return _FOR_READERS.search(style) is None
    is_cut = _NO_SIZE.search(style) and _CUT.search(style) and not PADDED.search(style)
    return bool(is_cut) and not is_opened_by_button(element)


def _has_its_backgrounds_color(element: Any, style: str) -> bool:
    """Tell whether an element's text is of its background's color, or white where no style can say what is behind."""
    color, background = _COLOR.search(style), _BACKGROUND.search(style)
    if color is None:
        return False
    if background is not None:
        return color[1] == background[1] or bool(_WHITE.fullmatch(color[1]) and _WHITE.fullmatch(background[1]))
    if not _WHITE.fullmatch(color[1]):
        return False
    above = [element, *element.iterancestors()]
    styled = any(one.keys() and {"class", "background"} & set(one.keys()) for one in above)
    painted = any(
        "background" in one.get("style", "") or not _WHITE.fullmatch(one.get("bgcolor", "white").strip().lower())
        for one in above
    )
    return not (styled or painted or element.getroottree().find(".//style") is not None)


def is_permalink(element: Any, *, in_heading: bool) -> bool:
    """Tell whether a link is only a mark, such as `¶`, that leads to the heading or the term that it stands in."""
    if element.tag != "a":
        return False
    is_named = _PERMALINKS.search(element.get("class", "")) is not None
    if in_heading and is_named:
        return True
    is_own = is_named or (in_heading and element.get("href", "").startswith("#"))
    return is_own and not any(map(str.isalnum, "".join(element.itertext())))
