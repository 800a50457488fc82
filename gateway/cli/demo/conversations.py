"""A tenant's training conversations: its house voice over facts that change from row to row.

Each row brings its own passages, one that has the answer and two that are easily taken for it, and its own values. An
adapter trained on such rows can't learn a fact by heart: it learns the voice, and to read. The wording is data
(`data/<tenant>/conversations.toml`); this module only combines it.
"""

import re
from collections.abc import Iterator
from random import Random
from textwrap import fill

from msgspec import Struct

from gateway.cli.demo._values import DRAWS
from gateway.cli.demo.style import sentences

__all__ = ["Braid", "Conversation", "Kind", "Material", "Message", "RowPassage", "conversations"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NO_ANSWER_EVERY = 12
# Rows are like what is served, or they teach another task: passages of full length and of the same kinds, and the right
# one as often first, second and third as the retriever ranks it so. A small model learns to use the rank, too.
_PLACES = (80, 14, 6)
_SECOND = 0.25  # how often the fact isn't what a section begins with
_LINE = 95  # characters of a PDF page's line
_SEED = 20261124


class Message(Struct, frozen=True):
    role: str
    content: str


class RowPassage(Struct, frozen=True):
    """A passage as the retriever gives it: `title` is a path of headings or a page, `text` begins with its heading."""

    title: str
    text: str


class Braid(Struct, frozen=True):
    passages: list[RowPassage]


class Conversation(Struct, frozen=True):
    """One row of an OpenAI fine-tuning file; `braid` carries what serving would have retrieved."""

    messages: list[Message]
    braid: Braid


class Kind(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of fact: how documents state it, how people ask for it and how the house replies.

    Attributes:
        subjects: The pool of names that such a fact can be about.
        value: How its value is drawn, a key of `DRAWS`.
        page: The title of the page on which such sections stand; "" for facts from PDF files, whose pages have numbers.
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
    """What a tenant's conversations are made of.

    Attributes:
        replies: What is said when a passage has the answer, without greeting and sign-off. Naming the passage before
            its value makes a small model choose first and copy then, which it does far better than both at once.
        no_answer: Replies, without greeting and sign-off, for when no passage has the answer.
        intros: What stands on top of a subject's own page: passages that are found often and say nothing.
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

    def passage(self, random: Random) -> RowPassage:
        """The section as the retriever gives it, of a page with a title or of a numbered one."""
        if self.page:
            return RowPassage(f"{self.page} > {self.heading}", f"## {self.heading}\n\n{self.text}")
        return RowPassage(f"page {random.randint(1, 9)} > {self.heading}", f"{self.heading}\n{fill(self.text, _LINE)}")


class _Table:
    """One row's own table of facts. No two values are alike, so that only one passage can be right."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._drawn: set[str] = set()

    def fact(self, kind: Kind, subject: str) -> _Fact:
        fixed = {"subject": subject, "value": self._draw(kind.value)}

        def filled(text: str) -> str:
            said = _PLACEHOLDER.sub(lambda found: fixed.get(found[1]) or self._draw(found[1]), text)
            return said[:1].upper() + said[1:]

        said = [filled(sentence) for sentence in sentences(self._random.choice(kind.texts))]
        if len(said) > 1 and self._random.random() < _SECOND:
            said[:2] = said[1::-1]
        heading = filled(self._random.choice(kind.titles))
        return _Fact(filled(kind.page), heading, " ".join(said), fixed["value"])

    def _draw(self, name: str) -> str:
        while (value := DRAWS[name](self._random)) in self._drawn:
            pass
        self._drawn.add(value)
        return value


def conversations(material: Material, count: int) -> list[Conversation]:
    """The first `count` of a tenant's rows, always the same ones; kinds of facts take turns."""
    random = Random(_SEED)
    rows: list[Conversation] = []
    asked: set[str] = set()
    for number, kind in enumerate(_turns(material.kinds, random)):
        if number == count:
            break
        family, subject, question = _new_question(material, kind, random, asked)
        asked.add(question)
        turn, place = divmod(number, _NO_ANSWER_EVERY)
        if place == _NO_ANSWER_EVERY - 1:
            rows.append(_without_answer(material, kind, question, random, nothing_found=turn % 2 == 1))
        else:
            rows.append(_with_answer(material, kind, family, subject, question, random))
    return rows


def _turns(kinds: list[Kind], random: Random) -> Iterator[Kind]:
    while True:
        yield from random.sample(kinds, len(kinds))


def _new_question(material: Material, kind: Kind, random: Random, asked: set[str]) -> tuple[list[str], str, str]:
    while True:
        family = random.choice(material.subjects[kind.subjects])
        subject = random.choice(family)
        question = random.choice(kind.questions).format(subject=subject)
        if question not in asked:
            return family, subject, question


def _with_answer(
    material: Material, kind: Kind, family: list[str], subject: str, question: str, random: Random
) -> Conversation:
    table = _Table(random)
    right = table.fact(kind, subject)
    near = table.fact(kind, random.choice([name for name in family if name != subject]))
    passages = [near.passage(random), _other(material, kind, subject, table, random)]
    random.shuffle(passages)
    place = random.choices(range(3), _PLACES)[0]
    passages.insert(place, right.passage(random))
    said = random.choice(material.replies).format(heading=right.heading, value=right.value, n=place + 1)
    return _row(material, question, passages, said)


def _without_answer(
    material: Material, kind: Kind, question: str, random: Random, *, nothing_found: bool
) -> Conversation:
    """A row whose passages are about other things, or whose search found nothing at all."""
    table = _Table(random)
    passages: list[RowPassage] = []
    if not nothing_found:
        unrelated = [other for other in material.kinds if other.subjects != kind.subjects and other.value != kind.value]
        for other in random.sample(unrelated, 3):
            subject = random.choice(random.choice(material.subjects[other.subjects]))
            passages.append(table.fact(other, subject).passage(random))
    return _row(material, question, passages, random.choice(material.no_answer))


def _other(material: Material, kind: Kind, subject: str, table: _Table, random: Random) -> RowPassage:
    """The top of the subject's own page, another fact about it where there is one, or the same about a stranger."""
    drawn = random.random()
    if kind.page == "{subject}" and drawn < 0.3:
        return RowPassage(subject, f"# {subject}\n\n{random.choice(material.intros).format(subject=subject)}")
    related = [other for other in material.kinds if other.subjects == kind.subjects and other.name != kind.name]
    if related and drawn < 0.75:
        return table.fact(random.choice(related), subject).passage(random)
    strangers = [family for family in material.subjects[kind.subjects] if subject not in family]
    return table.fact(kind, random.choice(random.choice(strangers))).passage(random)


def _row(material: Material, question: str, passages: list[RowPassage], said: str) -> Conversation:
    reply = f"{material.greeting}{said}{material.sign_off}"
    return Conversation([Message("user", question), Message("assistant", reply)], Braid(passages))
