"""The ends of help centers' pages: a question whether the article helped, and links to the page before and the next.

Generators that write no class of their own for them are many, so they are told by what they are, and by that nothing of
the page's text is behind them.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.parsers.html_visibility import is_hidden
from retrieval.parsers.html_votes import HELPED, is_answer, is_lone_answer, is_vote

__all__ = ["find_endings"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_LONGEST, _MOST_ELEMENTS = 200, 200  # characters of one, and elements in it
_MOST = 20  # of a page
_TAIL = 4000  # characters of a page, in which they are
_BACK, _FORTH = "←‹«⟵⬅", "→›»⟶➡"
_ARROWS = rf"[\s{_BACK}{_FORTH}]*"
_BEFORE = "prev(?:ious)?|zurück|vorherige[rs]?|précédente?|anterior|precedente|vorige|предыдущая|上一[页頁篇]|前へ|이전"
_AFTER = (
    "next|weiter|nächste[rs]?|suivante?|siguiente|próxim[ao]|successiv[ao]|volgende|следующая|下一[页頁篇]|次へ|다음"
)
_KINDS = "page|article|chapter|topic|seite|artikel|kapitel|página|pagina|artículo|articolo"
_WAY = re.compile(
    rf"{_ARROWS}(?:(?P<before>{_BEFORE})|{_AFTER})(?: (?:{_KINDS}))?{_ARROWS}(?P<title>[:：].*)?", re.I | re.S
)
_WAY_NAME = re.compile(r"(?:^|[-_\s])(?:prev(?:ious)?|next)(?:$|[-_\s])", re.I)
_INLINE = frozenset(("a", "b", "strong", "em", "i", "span", "small", "u"))
_MOST_TEXTS = 8  # of a link, that are looked at
_BUTTONS = frozenset(("a", "label"))
_OF_AUTHORS = frozenset(("p", "li", "dd", "td", "blockquote"))
"""Elements of a text. In one of them a single link like `Next: the lid` is the article's own last word."""
_WAY_RELATIONS = frozenset(("next", "prev", "previous"))

_NUMBER = r"(?:an?|\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a few|a couple of)"
_AGE = re.compile(
    r"(?:last )?(?:updated|edited|modified):?(?: (?:about|almost|over|more than|less than))? "
    rf"{_NUMBER} (?:second|minute|hour|day|week|month|year)s? ago",
    re.I,
)
_DATE = re.compile(
    r"(?:last |zuletzt |dernière )?(?:updated|edited|modified|aktualisiert|geändert|mise à jour)\b.{0,60}", re.I
)
_HELPED = "|".join(sorted(HELPED))
_SIGNS = re.compile(rf"[{_BACK}{_FORTH}か吗嗎？]|\b(?:{_BEFORE}|{_AFTER}|ago|{_HELPED})\b", re.I)
_MARKS = " or ".join(f"contains(@{name}, '{word}')" for name in ("rel", "class") for word in ("prev", "next"))
_HAS_MARKS = f"boolean(.//a[{_MARKS}])"
_find_texts: Any = etree.XPath(  # pyright: ignore[reportUnknownVariableType]
    "descendant::text()[not(parent::script or parent::style)]", smart_strings=False
)


def find_endings(part: Any) -> frozenset[Any]:
    """Return the elements at the end of a page's content that are of no page alone.

    One asks whether the page helped, with nothing but answers behind it, or leads to the page before and the next, or
    says how long ago the page was changed, which is true for a day. A date may stand among them, and stays.
    """
    if not _SIGNS.search("".join(_find_texts(part))[-_TAIL:]) and not part.xpath(_HAS_MARKS):
        return frozenset()
    rest = _Rest(part)
    endings = set[Any]()
    answers: list[Any] = []
    for _ in range(_MOST):
        if (last := rest.find_last()) is None:
            break
        text = rest.read(last)
        if is_vote(text):
            endings.update(answers)
        if is_answer(text):
            answers.append(last)
        elif not _DATE.fullmatch(text) or _AGE.fullmatch(text):
            endings.add(last)
        rest.take_away(last)
    return frozenset(endings) if rest.has_text else frozenset()


class _Rest:
    """A page without the endings that were found so far."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self._lengths: dict[Any, int] = {}
        self._small = set[Any]()
        self._ways: set[bool] | None = None
        counts, sizes = [0], [0]
        walk = etree.iterwalk(part, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                counts.append(0)
                sizes.append(1)
                if element is not part and is_hidden(element):
                    walk.skip_subtree()
                else:
                    counts[-1] += len((element.text or "").strip())
                continue
            length, size = counts.pop(), sizes.pop()
            self._lengths[element] = length
            if length <= _LONGEST and size <= _MOST_ELEMENTS:
                self._small.add(element)
            counts[-1] += length + len((element.tail or "").strip())
            sizes[-1] += size

    @property
    def has_text(self) -> bool:
        return self._lengths[self._part] > 0

    def find_last(self) -> Any:
        """Return the last element with text, if it is an ending, or may stand among some; else None."""
        element = self._part
        while (element := self._find_last_child(element)) is not None:
            if element in self._small and self._is_told(element):
                return element
        return None

    def read(self, element: Any) -> str:
        """Return what an element shows, with a blank between its parts."""
        return " ".join(self._list_texts(element))

    def take_away(self, element: Any) -> None:
        """Count an element no more, nor what is around it for it."""
        length = self._lengths[element]
        for above in (element, *element.iterancestors()):
            self._lengths[above] -= length
            if above is self._part:
                return

    def _find_last_child(self, element: Any) -> Any:
        """Return the last child with text; None where text of the element itself is behind all of them."""
        for child in reversed(element):
            if (child.tail or "").strip():
                return None
            if self._lengths.get(child):
                return child
        return None

    def _walk(self, element: Any) -> Iterator[tuple[str, Any]]:
        """Walk through what an element shows; what is hidden, or was taken away, only ends."""
        walk = etree.iterwalk(element, events=("start", "end"))
        for event, one in walk:
            if event == "end":
                yield event, one
            elif self._lengths.get(one):
                yield event, one
            else:
                walk.skip_subtree()

    def _list_texts(self, element: Any) -> list[str]:
        texts = [
            one.text if event == "start" else one.tail
            for event, one in self._walk(element)
            if event == "start" or one is not element
        ]
        return [clean for text in texts if (clean := " ".join((text or "").split()))]

    def _list_buttons(self, element: Any) -> list[Any]:
        return [one for event, one in self._walk(element) if event == "start" and one.tag in _BUTTONS]

    def _is_told(self, element: Any) -> bool:
        text = self.read(element)
        if is_vote(text) or _AGE.fullmatch(text) or _DATE.fullmatch(text) or self._is_way(element, text):
            return True
        return is_answer(text) and (not is_lone_answer(text) or bool(self._list_buttons(element)))

    def _is_way(self, element: Any, text: str) -> bool:
        """Tell whether all of an element is a link to the page before, or the next, or both."""
        links = [(link, self._list_texts(link)) for link in self._list_buttons(element) if link.tag == "a"]
        inside = "".join(text for _, texts in links for text in texts)
        if not 1 <= len(links) <= 2 or sum(map(str.isalnum, text)) > sum(map(str.isalnum, inside)):
            return False
        if len(links) == 1 and _is_of_author(*links[0]) and not self._has_both_ways():
            return False
        return all(_leads_on(link, texts) for link, texts in links) or (
            len(links) == 2 and text[0] in _BACK and text[-1] in _FORTH
        )

    def _has_both_ways(self) -> bool:
        """Tell whether links of the page lead to the one before and to the next."""
        if self._ways is None:
            texts = (" ".join(islice(link.itertext(), _MOST_TEXTS)).strip() for link in self._part.iter("a"))
            ways = (_WAY.fullmatch(text) for text in texts if len(text) <= _LONGEST)
            self._ways = {way["before"] is None for way in ways if way is not None}
        return len(self._ways) > 1


def _leads_on(link: Any, texts: list[str]) -> bool:
    return _is_marked(link) or _WAY.fullmatch(texts[0]) is not None


def _is_marked(link: Any) -> bool:
    """Tell whether a link says by itself, and not by its words, that it leads on."""
    relations = set(link.get("rel", "").lower().split())
    name = f"{link.get('class', '')} {link.get('aria-label', '')}"
    return bool(relations & _WAY_RELATIONS or _WAY_NAME.search(name))


def _is_of_author(link: Any, texts: list[str]) -> bool:
    """Tell whether a link that names what is next stands where an author writes, and nothing marks it."""
    way = _WAY.fullmatch(" ".join(texts))
    if way is None or not way["title"] or _is_marked(link):
        return False
    block = next((above for above in link.iterancestors() if above.tag not in _INLINE), None)
    return block is not None and block.tag in _OF_AUTHORS
