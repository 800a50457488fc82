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

__all__ = ["Braid", "Conversation", "Kind", "Material", "Message", "RowPassage", "conversations"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NO_ANSWER_EVERY = 12
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
        page: The title of the page on which such sections stand; "" for facts from PDF files, which come without
            headings and with their neighbours.
    """

    name: str
    page: str
    subjects: str
    value: str
    titles: list[str]
    texts: list[str]
    questions: list[str]
    replies: list[str]


class Material(Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant's conversations are made of.

    Attributes:
        no_answer: Replies, without greeting and sign-off, for when no passage has the answer.
        subjects: Families of names by pool; the members of a family are easily taken for one another.
    """

    greeting: str
    sign_off: str
    no_answer: list[str]
    subjects: dict[str, list[list[str]]]
    kinds: list[Kind]


class _Facts:
    """The values of one row; no two are alike, so that only one passage can be right."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._drawn: set[str] = set()

    def draw(self, name: str) -> str:
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
    facts = _Facts(random)
    value = facts.draw(kind.value)
    right = _passage(kind, subject, value, facts, random)
    sibling = random.choice([name for name in family if name != subject])
    near = _passage(kind, sibling, facts.draw(kind.value), facts, random)
    other = _other(material, kind, subject, facts, random)
    if not kind.page:
        right = _with_neighbour(material, kind, subject, right, facts, random)
    passages = [right, near, other]
    random.shuffle(passages)
    said = random.choice(kind.replies).format(subject=subject, value=value, n=passages.index(right) + 1)
    return _row(material, question, passages, said)


def _without_answer(
    material: Material, kind: Kind, question: str, random: Random, *, nothing_found: bool
) -> Conversation:
    """A row whose passages are about other things, or whose search found nothing at all."""
    facts = _Facts(random)
    passages: list[RowPassage] = []
    if not nothing_found:
        unrelated = [other for other in material.kinds if other.subjects != kind.subjects and other.value != kind.value]
        for other in random.sample(unrelated, 3):
            name = random.choice(random.choice(material.subjects[other.subjects]))
            passages.append(_passage(other, name, facts.draw(other.value), facts, random))
    return _row(material, question, passages, random.choice(material.no_answer))


def _other(material: Material, kind: Kind, subject: str, facts: _Facts, random: Random) -> RowPassage:
    """The second distractor: another fact about the same subject where there is one, or the same of a stranger."""
    related = [other for other in material.kinds if other.subjects == kind.subjects and other.name != kind.name]
    if related and random.random() < 0.6:
        other, name = random.choice(related), subject
    else:
        strangers = [family for family in material.subjects[kind.subjects] if subject not in family]
        other, name = kind, random.choice(random.choice(strangers))
    return _passage(other, name, facts.draw(other.value), facts, random)


def _with_neighbour(
    material: Material, kind: Kind, subject: str, passage: RowPassage, facts: _Facts, random: Random
) -> RowPassage:
    """The passage with another fact in the line before or after it, as chunks of a PDF page have them."""
    neighbour = _other(material, kind, subject, facts, random).text
    lines = [passage.text, neighbour] if random.random() < 0.5 else [neighbour, passage.text]
    return RowPassage(passage.title, "\n".join(lines))


def _passage(kind: Kind, subject: str, value: str, facts: _Facts, random: Random) -> RowPassage:
    title = _filled(random.choice(kind.titles), subject, value, facts)
    text = _filled(random.choice(kind.texts), subject, value, facts)
    if kind.page:
        return RowPassage(f"{_filled(kind.page, subject, value, facts)} > {title}", f"## {title}\n\n{text}")
    return RowPassage(title, text)


def _filled(text: str, subject: str, value: str, facts: _Facts) -> str:
    fixed = {"subject": subject, "value": value}
    filled = _PLACEHOLDER.sub(lambda found: fixed.get(found[1]) or facts.draw(found[1]), text)
    return filled[:1].upper() + filled[1:]


def _row(material: Material, question: str, passages: list[RowPassage], said: str) -> Conversation:
    reply = f"{material.greeting}{said}{material.sign_off}"
    return Conversation([Message("user", question), Message("assistant", reply)], Braid(passages))
