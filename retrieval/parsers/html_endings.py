"""The ends of help centers' pages: a question whether the article helped, and links to the page before and the next.

Generators that write no class of their own for them are many, so they are told by what they are, and by that nothing of
the page's text is behind them.
"""

import re
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.parsers.html_visibility import is_hidden

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
_WAY = re.compile(rf"{_ARROWS}(?:{_BEFORE}|{_AFTER})(?: (?:{_KINDS}))?{_ARROWS}(?:[:：].*)?", re.I | re.S)
_WAY_NAME = re.compile(r"(?:^|[-_\s])(?:prev(?:ious)?|next)(?:$|[-_\s])", re.I)
_BUTTONS = frozenset(("a", "label"))
_WAY_RELATIONS = frozenset(("next", "prev", "previous"))

_HELPED = (
    "helpful|useful|help you|answer your|solve your|hilfreich|nützlich|geholfen|utile|útil|nuttig|pomocn|przydatn|"
    "полезн|помог|役に立|参考になり|有帮助|有幫助|有用|도움"
)
_THIS = (
    r"\bthis\b|find it\b|\bdies|ihnen\b|\bcet|\best[eao]\b|\bquest[oa]\b|\bdit\b|\bdeze\b|\bten\b|\bta\b|\bэт|¿"
    "|この|这|這|此|이 "
)
_ANSWER = (
    r"yes|no|ja|nein|nee|oui|non|s[ií]|sim|não|tak|nie|да|нет|はい|いいえ|是|否|out of|of|found this helpful|[\W\d]"
)
_ANSWERS = re.compile(rf"(?:{_ANSWER})+", re.I)
_VOTE = re.compile(rf"(?=.*(?:{_THIS}))[^.!?？]*(?:{_HELPED})[^.!?？]*(?:[?？]|か。?|吗)((?:{_ANSWER})*)", re.I | re.S)
_AGE = re.compile(r"(?:last )?(?:updated|edited|modified)\b.{0,40}\bago", re.I)
_DATE = re.compile(
    r"(?:last |zuletzt |dernière )?(?:updated|edited|modified|aktualisiert|geändert|mise à jour)\b.{0,60}", re.I
)
_WORD = re.compile(r"\w+")
_SIGNS = re.compile(rf"[{_BACK}{_FORTH}]|\b(?:{_BEFORE}|{_AFTER}|ago)\b|{_HELPED}", re.I)
_MARKS = " or ".join(f"contains(@{name}, '{word}')" for name in ("rel", "class") for word in ("prev", "next"))
_MARKED = f"boolean(.//a[{_MARKS}])"


def find_endings(part: Any) -> frozenset[Any]:
    """Return the elements at the end of a page's content that are of no page alone.

    One asks whether the page helped, with nothing but answers behind it, or leads to the page before and the next, or
    says how long ago the page was changed, which is true for a day. A date may stand among them, and stays.
    """
    if not _SIGNS.search("".join(part.itertext())[-_TAIL:]) and not part.xpath(_MARKED):
        return frozenset()
    rest = _Rest(part)
    endings = set[Any]()
    answers: list[Any] = []
    for _ in range(_MOST):
        if (last := rest.find_last()) is None:
            break
        text = rest.read(last)
        if _is_vote(text):
            endings.update(answers)
        if _ANSWERS.fullmatch(text):
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

    def _list_texts(self, element: Any) -> list[str]:
        texts: list[str] = []
        walk = etree.iterwalk(element, events=("start", "end"))
        for event, one in walk:
            if event == "end":
                texts.append((one.tail or "") if one is not element else "")
            elif self._lengths.get(one):
                texts.append(one.text or "")
            else:
                walk.skip_subtree()
        return [clean for text in texts if (clean := " ".join(text.split()))]

    def _is_told(self, element: Any) -> bool:
        text = self.read(element)
        if _is_vote(text) or _AGE.fullmatch(text) or _DATE.fullmatch(text) or self._is_way(element, text):
            return True
        # A single word may answer a question of the page's own.
        is_button = element.tag in _BUTTONS or any(one.tag in _BUTTONS for one in element.iter())
        return _ANSWERS.fullmatch(text) is not None and (is_button or len(_WORD.findall(text)) != 1)

    def _is_way(self, element: Any, text: str) -> bool:
        """Tell whether all of an element is a link to the page before, or the next, or both."""
        links = [(link, self._list_texts(link)) for link in element.iter("a") if self._lengths.get(link)]
        inside = "".join(text for _, texts in links for text in texts)
        if not 1 <= len(links) <= 2 or sum(map(str.isalnum, text)) > sum(map(str.isalnum, inside)):
            return False
        return all(_leads_on(link, texts) for link, texts in links) or (
            len(links) == 2 and text[0] in _BACK and text[-1] in _FORTH
        )


def _is_vote(text: str) -> bool:
    """Tell whether a text asks if a page helped; one answer behind the question is a page's own."""
    vote = _VOTE.fullmatch(text)
    return vote is not None and len(_WORD.findall(vote[1])) != 1


def _leads_on(link: Any, texts: list[str]) -> bool:
    relations = set(link.get("rel", "").lower().split())
    name = f"{link.get('class', '')} {link.get('aria-label', '')}"
    return bool(relations & _WAY_RELATIONS or _WAY_NAME.search(name) or _WAY.fullmatch(texts[0]))
