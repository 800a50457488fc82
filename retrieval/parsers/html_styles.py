"""Rules of a page's own styles that hide text, as far as they are simple: `.note, #x { display: none }`.

A rule under a condition (`@media`), with more than one part (`.a .b`, `.a:hover`) or for the whole page hides nothing.
It may show what a simple rule hides, and so may a script or a link that has its name, a button in front of it, and what
is in it: text that a reader can open stays. So does what is for screen readers, which is on the page for whoever can't
see it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from retrieval.parsers.html_visibility import PADDED, forget_content, is_content, is_opened_by_button

__all__ = ["hide_by_rules"]

_LONGEST = 1_000_000  # characters of styles, and of scripts
_MOST_RULES = 20_000
_MOST_SELECTORS = 50  # of a rule
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.S)
_BRACE = re.compile(r"([{}])")
_SIMPLE = re.compile(r"([a-z][a-z0-9-]*)?(?:([.#])([\w-]+))?", re.I)
_NAME = re.compile(r"[.#]((?:[\w-]|\\.)+)")  # `.md\:block` is of the class `md:block`
_PSEUDO_ELEMENT = re.compile(r"::|:(?:before|after|first-line|first-letter)\b", re.I)
_COMBINATOR = re.compile(r"[\s>+~]")
_TAG = re.compile(r"[a-z][a-z0-9-]*", re.I)
_NAMING = re.compile(r"on\w+|(?:data-\S*)?target|data-toggle|data-bs-\S+|aria-controls|href", re.I)
"""Attributes that may name what a click opens."""
_WORD = re.compile(r"[\w-]+")
_WHOLE = frozenset(("html", "body", "main", "article"))
_SEEN_MEDIA = frozenset(("", "all", "screen"))
_FOR_READERS = re.compile(r"sr-only|sr_only|visually-?hidden|screen-?reader|element-invisible|assistive|a11y", re.I)
"""Names of what only screen readers say."""

_ZERO = r"0*\.?0*(?:px|r?em|pt|%|vh|vw)?(?:;|$)"
_HIDES = {
    "display": re.compile(r"(?:^|;)display:none"),
    "visibility": re.compile(r"(?:^|;)visibility:(?:hidden|collapse)"),
    "opacity": re.compile(r"(?:^|;)opacity:0*\.?0*%?(?:;|$)"),
    "font-size": re.compile(rf"(?:^|;)font-size:{_ZERO}"),
    "height": re.compile(rf"(?:^|;)(?:max-)?height:{_ZERO}"),
    "width": re.compile(rf"(?:^|;)(?:max-)?width:{_ZERO}"),
    "place": re.compile(r"(?:^|;)(?:left|top|text-indent):-\d{4,}"),
    "clip": re.compile(r"clip-path:inset\((?:100|50)%|clip:rect\((?:[01](?:px)?,?){4}\)"),
}
"""Declarations that hide, by the part of an element's look that they are about."""
_SHOWS = {
    "display": re.compile(r"(?:^|;)display:(?!none)"),
    "visibility": re.compile(r"(?:^|;)visibility:visible"),
    "opacity": re.compile(r"(?:^|;)(?:opacity:(?:1|0?\.\d*[1-9])|animation)"),
    "font-size": re.compile(r"(?:^|;)font-size:0*\.?0*[1-9a-z]"),
    "height": re.compile(rf"(?:^|;)(?:max-)?height:(?:0*\.?0*[1-9]|[a-z])|{PADDED.pattern}"),
    "width": re.compile(r"(?:^|;)(?:max-)?width:(?:0*\.?0*[1-9]|[a-z])"),
    "place": re.compile(r"(?:^|;)(?:left|top|text-indent):(?:[a-z\d]|-\d{1,3}(?!\d))"),
    "clip": re.compile(r"clip(?:-path)?:(?:auto|none)"),
}
_INHERITED = frozenset(("visibility", "font-size"))
"""Parts of the look that what is in an element has as well, until it says something else."""
_CUT = re.compile(r"overflow(?:-[xy])?:(?:hidden|clip)")
_IDIOM = re.compile(r"(?:^|;)(?:width|height):1px")
"""With a clip: what screen readers say, in the words of many pages."""


class _Rules:
    """The rules of a page: those of simple selectors, and of each name what others show."""

    def __init__(self) -> None:
        self.hides: defaultdict[str, set[str]] = defaultdict(set)
        self.shows: defaultdict[str, set[str]] = defaultdict(set)
        self.elsewhere: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, selectors: str, declarations: str, *, is_plain: bool) -> None:
        style = re.sub(r"\s|!important", "", declarations.lower())
        hides = {kind for kind, pattern in _HIDES.items() if pattern.search(style)}
        if "clip" in hides and _IDIOM.search(style):
            hides.clear()
        if not _CUT.search(style):
            hides -= {"height", "width"}
        shows = {kind for kind, pattern in _SHOWS.items() if pattern.search(style)}
        hides -= shows & {"opacity", "height"}  # an animation begins with none, what keeps its proportions has none
        shows -= hides
        if not hides and not shows:
            return
        for selector in selectors.split(",", _MOST_SELECTORS)[:_MOST_SELECTORS]:
            selector = selector.strip()
            if _PSEUDO_ELEMENT.search(selector):
                continue
            match = _SIMPLE.fullmatch(selector)
            if is_plain and match and selector:
                key = f"{(match[1] or '').lower()}{match[2] or ''}{match[3] or ''}"
                self.hides[key] |= hides
                self.shows[key] |= shows
            else:
                self._add_elsewhere(selector, shows)

    def _add_elsewhere(self, selector: str, shows: set[str]) -> None:
        names = _NAME.findall(selector)
        for name in names:
            self.elsewhere[name.replace("\\", "")] |= shows
        subject = _COMBINATOR.split(selector)[-1]  # what the rule is for
        if not _NAME.search(subject):
            tag = _TAG.match(subject)
            self.shows[tag[0].lower() if tag else "*"] |= shows

    def find_shows(self, element: Any, names: Iterable[tuple[str, str]], keys: Iterable[str]) -> set[str]:
        """Return the parts of an element's look in which its own style or some rule may show it."""
        shows = {kind for key in ("*", *keys) if key in self.shows for kind in self.shows[key]}
        shows.update(kind for _, name in names if name in self.elsewhere for kind in self.elsewhere[name])
        style = re.sub(r"\s|!important", "", element.get("style", "").lower())
        shows.update(kind for kind, pattern in _SHOWS.items() if pattern.search(style))
        return shows


def hide_by_rules(root: Any) -> None:
    """Hide the elements of a page that its own rules hide, as if each had a style that does."""
    rules = _Rules()
    for selectors, declarations, is_plain in islice(_list_rules(root), _MOST_RULES):
        rules.add(selectors, declarations, is_plain=is_plain)
    if not any(rules.hides.values()):
        return
    words, holders = _list_script_words(root), _find_holders(root, rules)
    fades_in = root.find(".//script[@src]") is not None  # a script that isn't here may do so, as many do
    for element in root.iter("*"):
        if element.tag in _WHOLE:
            continue
        hides = _find_hides(rules, element, words)
        hides = {kind for kind in hides if element not in holders[kind] and not (fades_in and kind == "opacity")}
        if hides and not is_opened_by_button(element) and not is_content(element):
            element.set("style", f"{element.get('style', '')};display:none")
    forget_content()


def _find_hides(rules: _Rules, element: Any, words: frozenset[str]) -> set[str]:
    """Return the parts of an element's look in which rules hide it, and nothing shows it."""
    names, keys = _list_names(element)
    hides = {kind for key in keys if key in rules.hides for kind in rules.hides[key]}
    if not hides or any(name in words for _, name in names):
        return set()
    hides -= rules.find_shows(element, names, keys)
    if hides <= {"place", "clip"} and any(_FOR_READERS.search(name) for _, name in names):
        return set()
    return hides


def _find_holders(root: Any, rules: _Rules) -> defaultdict[str, set[Any]]:
    """Find the elements with something in them that shows itself, by the part of its look."""
    holders: defaultdict[str, set[Any]] = defaultdict(set)
    kinds = _INHERITED & {kind for hides in rules.hides.values() for kind in hides}
    for element in root.iter("*") if kinds else ():
        for kind in kinds & rules.find_shows(element, *_list_names(element)):
            above = element
            while above is not None and above not in holders[kind]:
                holders[kind].add(above)
                above = above.getparent()
    return holders


def _list_names(element: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """List the classes and the id of an element, each with its mark, and the simple selectors that it has."""
    names = [(mark, name) for mark, key in ((".", "class"), ("#", "id")) for name in element.get(key, "").split()]
    return names, [element.tag, *(f"{tag}{mark}{name}" for mark, name in names for tag in ("", element.tag))]


def _list_rules(root: Any) -> Iterator[tuple[str, str, bool]]:
    """Yield the selectors and the declarations of rules, each with whether it is under no condition."""
    room = _LONGEST
    for style in root.iter("style"):
        text = _COMMENT.sub(" ", (style.text or "")[:room])
        room -= len(style.text or "")
        is_seen = style.get("media", "").strip().lower() in _SEEN_MEDIA
        preludes: list[str] = []
        pieces = _BRACE.split(text)
        for content, brace in zip(pieces[::2], pieces[1::2], strict=False):
            if brace == "{":
                preludes.append(content.rpartition(";")[2].strip())
            elif preludes:
                selectors = preludes.pop()
                if not selectors.startswith("@"):
                    yield selectors, content, is_seen and not preludes
        if room <= 0:
            return


def _list_script_words(root: Any) -> frozenset[str]:
    """List the words of a page's scripts, and of what a click runs or leads to, which may show what they name."""
    words, room = set[str](), _LONGEST
    for element in root.iter("*"):
        for name, value in element.items():
            if room > 0 and _NAMING.fullmatch(name) and (name != "href" or value.startswith(("#", "javascript:"))):
                words.update(_WORD.findall(value[:room]))
                room -= len(value)
    for script in root.iter("script"):
        if "json" not in script.get("type", ""):
            words.update(_WORD.findall((script.text or "")[: max(room, 0)]))
            room -= len(script.text or "")
    return frozenset(words)
