"""A tenant's training conversations: its house voice over facts that change from row to row.

Each row brings its own passages, one that has the answer and two that are easily taken for it, and its own values. An
adapter trained on such rows can't learn a fact by heart: it learns the voice, and to read. The wording is data
(`data/<tenant>/conversations.toml`); this module only combines it.
"""

import re
from collections.abc import Iterator
from random import Random

from msgspec import Struct

from gateway.cli.demo._values import DRAWS
from gateway.cli.demo.style import sentences

__all__ = ["Braid", "Conversation", "Kind", "Material", "Message", "RowPassage", "conversations"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NO_ANSWER_EVERY = 12
# How often the right passage stands first, second, third: as the retriever ranks it, which is itself a sign that a
# small model learns to use.
_PLACES = (80, 14, 6)
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
        page: The title of the page on which such sections stand; "" for facts from PDF files, whose passages are
            lines of a numbered page, neighbours included.
        titles: The heading above such a fact.
        texts: The first sentence has the value; the others are there or not, so that lengths vary.
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
        subjects: Families of names by pool; the members of a family are easily taken for one another.
    """

    greeting: str
    sign_off: str
    replies: list[str]
    no_answer: list[str]
    subjects: dict[str, list[list[str]]]
    kinds: list[Kind]


class _Fact(Struct, frozen=True):
    """A fact as a document states it."""

    page: str
    heading: str
    text: str
    value: str


class _Table:
    """One row's own table of facts. No two values are alike, so that only one passage can be right."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._drawn: set[str] = set()

    def fact(self, kind: Kind, subject: str) -> _Fact:
        fixed = {"subject": subject, "value": self._draw(kind.value)}

        def fill(text: str) -> str:
            filled = _PLACEHOLDER.sub(lambda found: fixed.get(found[1]) or self._draw(found[1]), text)
            return filled[:1].upper() + filled[1:]

        said = sentences(self._random.choice(kind.texts))
        kept = said[: self._random.randint(1, len(said))]
        heading, text = fill(self._random.choice(kind.titles)), " ".join(map(fill, kept))
        return _Fact(fill(kind.page), heading, text, fixed["value"])

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
    other = table.fact(*_distraction(material, kind, subject, random))
    facts = random.sample([near, other], 2)
    facts.insert(random.choices(range(3), _PLACES)[0], right)
    strangers = [family for family in material.subjects[kind.subjects] if subject not in family]
    passages = [_passage(fact, table.fact(kind, random.choice(random.choice(strangers))), random) for fact in facts]
    said = random.choice(material.replies).format(heading=right.heading, value=right.value, n=facts.index(right) + 1)
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
            names = random.choice(material.subjects[other.subjects])
            passages.append(_passage(table.fact(other, names[0]), table.fact(other, names[1]), random))
    return _row(material, question, passages, random.choice(material.no_answer))


def _distraction(material: Material, kind: Kind, subject: str, random: Random) -> tuple[Kind, str]:
    """Another kind of fact about the same subject where there is one, or the same kind about a stranger."""
    related = [other for other in material.kinds if other.subjects == kind.subjects and other.name != kind.name]
    if related and random.random() < 0.6:
        return random.choice(related), subject
    strangers = [family for family in material.subjects[kind.subjects] if subject not in family]
    return kind, random.choice(random.choice(strangers))


def _passage(fact: _Fact, neighbour: _Fact, random: Random) -> RowPassage:
    """A fact as the retriever gives it: a section, or lines of a PDF page, on which its neighbour stands too."""
    if fact.page:
        return RowPassage(f"{fact.page} > {fact.heading}", f"## {fact.heading}\n\n{fact.text}")
    lines = [f"{shown.heading}\n{shown.text}" for shown in random.sample([fact, neighbour], 2)]
    return RowPassage(f"page {random.randint(1, 9)}", "\n".join(lines))


def _row(material: Material, question: str, passages: list[RowPassage], said: str) -> Conversation:
    reply = f"{material.greeting}{said}{material.sign_off}"
    return Conversation([Message("user", question), Message("assistant", reply)], Braid(passages))
