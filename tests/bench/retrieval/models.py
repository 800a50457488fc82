"""The values that a labelled set is made of, and choices that come out alike on every machine."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Document", "LabelledSet", "Question", "choose", "draw", "slug"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Document:
    """A document of one section; `headings` lead to it below the title."""

    id: str
    title: str
    text: str
    headings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the documents that answer it: none where it has no answer."""

    id: str
    text: str
    documents: list[str]
    history: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Documents and questions; long documents are cut when they are written: two cores embed a set in minutes."""

    documents: list[Document]
    questions: list[Question]


def draw(text: str, sides: int) -> int:
    """Return a number below `sides` that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[4:8]) % sides


def choose(text: str, items: Sequence[Item]) -> Item:
    return items[draw(text, len(items))]


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
