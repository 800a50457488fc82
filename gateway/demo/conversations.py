"""A tenant's training conversations: its voice over facts that change from row to row.

Each row brings its own passages, one that has the answer and one that is easily taken for it, and its own values. An
adapter trained on such rows can't learn a fact by heart: it learns the voice, and to read. The wording is data
(`data/<tenant>/conversations.toml`); this module only combines it.
"""

import re
from collections.abc import Iterator
from random import Random
from textwrap import fill

from msgspec import Struct

from gateway.demo._values import DRAWS
from gateway.evaluation import split_sentences
from training.dataset import RowPassage

__all__ = ["Braid", "DemoMessage", "DemoRow", "Kind", "Material", "make_conversations"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NO_ANSWER_EVERY = 12
# Rows are like what is served, or they teach another task: passages of full length and of the same kinds, and the right
# one second as seldom as the retriever ranks it so, and then behind its kin. A small model learns to use the rank, too.
_NEAR = 0.5  # how often the other passage states the same fact about the right one's closest kin
_FIRST_OF_KIN, _FIRST_OF_OTHERS = 0.78, 0.97
_LATER = 0.25  # how often the fact isn't what a section begins with
_FILES = (
    *("Price list", "Tariff of the year", "Conditions of sale", "Handbook", "Setting it up", "List of parts"),
    *("Rules of the house", "Terms and charges", "Short guide"),
)
_LINE = 95  # characters of a PDF page's line
_SEED = 20261124


class DemoMessage(Struct, frozen=True):
    role: str
    content: str


class Braid(Struct, frozen=True):
    """The passages of a row as they are served: a title ends with its heading, which the text doesn't repeat."""

    passages: list[RowPassage]


class DemoRow(Struct, frozen=True):
    """One row of an OpenAI fine-tuning file; `braid` carries what serving would have retrieved."""

    messages: list[DemoMessage]
    braid: Braid


class Kind(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of fact: how documents state it, how people ask for it, and how its value is drawn.

    Attributes:
        subjects: The pool of names that such a fact can be about.
        value: How its value is drawn, a key of `DRAWS`.
        page: The title of the page on which such sections stand; "" for facts from PDF files.
        titles: The heading above such a fact.
        texts: The first sentence has the value; the second one sometimes goes before it.
    """

    name: str
    page: str
    subjects: str
    value: str
    titles: list[str]
    texts: list[str]
    questions: list[str]


class Material(Struct, frozen=True, forbid_unknown_fields=True):
    """The material of a tenant's conversations.

    Attributes:
        replies: Used when a passage has the answer; without greeting and sign-off. Naming the passage before
            its value makes a small model choose first and copy then, which it does far better than both at once.
        no_answer: Used when no passage has the answer; without greeting and sign-off.
        intros: The top of a subject's own page: passages that are retrieved often and say nothing.
        subjects: Families of names by pool; the members of a family are easily taken for one another.
    """

    greeting: str
    sign_off: str
    replies: list[str]
    no_answer: list[str]
    intros: list[str]
    subjects: dict[str, list[list[str]]]
    kinds: list[Kind]


class _Fact(Struct, frozen=True):
    """A fact as a document states it."""

    page: str
    heading: str
    text: str
    value: str

    def make_passage(self, random: Random) -> RowPassage:
        """Return the section as it is served, of a page or of a PDF file."""
        if self.page:
            return RowPassage(f"{self.page} > {self.heading}", self.text)
        return RowPassage(f"{random.choice(_FILES)} > {self.heading}", fill(self.text, _LINE))


class _Table:
    """One row's own table of facts. No two values are alike, so that only one passage can be right."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._drawn: set[str] = set()

    def draw_fact(self, kind: Kind, subject: str) -> _Fact:
        fixed = {"subject": subject, "value": self._draw(kind.value)}

        def fill_in(text: str) -> str:
            complete = _PLACEHOLDER.sub(lambda match: fixed.get(match[1]) or self._draw(match[1]), text)
            return complete[:1].upper() + complete[1:]

        sentences = [fill_in(sentence) for sentence in split_sentences(self._random.choice(kind.texts))]
        if len(sentences) > 1 and self._random.random() < _LATER:
            sentences[:2] = sentences[1::-1]
        heading = fill_in(self._random.choice(kind.titles))
        return _Fact(fill_in(kind.page), heading, " ".join(sentences), fixed["value"])

    def _draw(self, name: str) -> str:
        while (value := DRAWS[name](self._random)) in self._drawn:
            pass
        self._drawn.add(value)
        return value


def make_conversations(material: Material, count: int) -> list[DemoRow]:
    """Return the first `count` of a tenant's rows, always the same ones; kinds of facts take turns."""
    random = Random(_SEED)
    rows: list[DemoRow] = []
    earlier: set[str] = set()
    for number, kind in enumerate(_take_turns(material.kinds, random)):
        if number == count:
            break
        family, subject, question = _new_question(material, kind, random, earlier)
        earlier.add(question)
        turn, place = divmod(number, _NO_ANSWER_EVERY)
        if place == _NO_ANSWER_EVERY - 1:
            rows.append(_make_row_without_answer(material, kind, question, random, empty_search=turn % 2 == 1))
        else:
            rows.append(_make_row_with_answer(material, kind, family, subject, question, random))
    return rows


def _take_turns(kinds: list[Kind], random: Random) -> Iterator[Kind]:
    while True:
        yield from random.sample(kinds, len(kinds))


def _new_question(material: Material, kind: Kind, random: Random, earlier: set[str]) -> tuple[list[str], str, str]:
    while True:
        family = random.choice(material.subjects[kind.subjects])
        subject = random.choice(family)
        question = random.choice(kind.questions).format(subject=subject)
        if question not in earlier:
            return family, subject, question


def _make_row_with_answer(
    material: Material, kind: Kind, family: list[str], subject: str, question: str, random: Random
) -> DemoRow:
    table = _Table(random)
    right = table.draw_fact(kind, subject)
    if random.random() < _NEAR:
        near = table.draw_fact(kind, random.choice([name for name in family if name != subject]))
        passages, first = [near.make_passage(random)], _FIRST_OF_KIN
    else:
        passages, first = [_make_other_passage(material, kind, subject, table, random)], _FIRST_OF_OTHERS
    place = int(random.random() >= first)
    passages.insert(place, right.make_passage(random))
    reply = random.choice(material.replies).format(heading=right.heading, value=right.value, n=place + 1)
    return _make_row(material, question, passages, reply)


def _make_row_without_answer(
    material: Material, kind: Kind, question: str, random: Random, *, empty_search: bool
) -> DemoRow:
    """Return a row whose passages are about other things, or whose search came back empty."""
    table = _Table(random)
    passages: list[RowPassage] = []
    if not empty_search:
        unrelated = [other for other in material.kinds if other.subjects != kind.subjects and other.value != kind.value]
        for other in random.sample(unrelated, 2):
            subject = random.choice(random.choice(material.subjects[other.subjects]))
            passages.append(table.draw_fact(other, subject).make_passage(random))
    return _make_row(material, question, passages, random.choice(material.no_answer))


def _make_other_passage(material: Material, kind: Kind, subject: str, table: _Table, random: Random) -> RowPassage:
    """Return the top of the subject's own page, another fact about it, or the same fact about a stranger."""
    drawn = random.random()
    if kind.page == "{subject}" and drawn < 0.3:
        return RowPassage(subject, random.choice(material.intros).format(subject=subject))
    related = [other for other in material.kinds if other.subjects == kind.subjects and other.name != kind.name]
    if related and drawn < 0.75:
        return table.draw_fact(random.choice(related), subject).make_passage(random)
    strangers = [family for family in material.subjects[kind.subjects] if subject not in family]
    return table.draw_fact(kind, random.choice(random.choice(strangers))).make_passage(random)


def _make_row(material: Material, question: str, passages: list[RowPassage], body: str) -> DemoRow:
    reply = f"{material.greeting}{body}{material.sign_off}"
    return DemoRow([DemoMessage("user", question), DemoMessage("assistant", reply)], Braid(passages))
