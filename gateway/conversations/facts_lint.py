"""The facts lint: for each value in a reply, whether it stands in the row, in the tenant's documents, or nowhere.

What a style is trained on shouldn't teach facts: those in documents belong into the row's prompt, those that documents
have changed since would be recited for ever, and those that stand nowhere teach to make some up.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

import msgspec

from gateway.conversations.conversation import Conversation
from gateway.conversations.deleted_facts import DeletedPieces, DeletedTexts, Piece
from gateway.conversations.findings import FactClass, Finding, Level, RowFact
from gateway.conversations.html_text import read_html
from gateway.conversations.languages import is_function_word
from gateway.counts import format_count
from gateway.evaluation.unspaced_scripts import split_pairs
from gateway.evaluation.values import TextValues, Value, find_values

__all__ = ["DocumentPassage", "DocumentText", "FactIndex", "FactsLint", "describe_document", "describe_facts"]


_PASSAGES = 10
_DOCUMENTS = 3
"""The number of documents whose earlier versions are read, of those that answer a row best."""

_SENTENCES = 4
"""Of a row, that are searched for beside its question."""

_REMEMBERED = 10_000
"""Passages whose values are kept: many rows find the same ones."""

_STANDING = ("value stands", "values stand")
_MOST_NAMED = 5
_SENTENCE_ENDS = (". ", "! ", "? ", "\n", "。", "！", "？")


@dataclass(frozen=True, slots=True)
class DocumentPassage:
    """A passage of the tenant's documents, as it is now."""

    store: str
    document: str
    key: str
    version: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of one version of a document."""

    version: int
    filename: str
    text: str


class FactIndex(Protocol):
    """The tenant's documents, as the lint looks into them."""

    async def search(self, texts: Sequence[str], limit: int) -> Sequence[DocumentPassage]:
        """Return the passages that fit any of the texts, the best first."""
        ...

    async def read_current(self, store: str, document: str) -> str:
        """Return a document's present text."""
        ...

    async def read_earlier(self, document: str) -> Sequence[DocumentText]:
        """Return its earlier versions as far as their bytes are text, the newest first."""
        ...

    async def read_deleted(self) -> DeletedTexts:
        """Return what is kept of documents that aren't there any more."""
        ...


class FactsLint:
    """Classes the values of replies; without an index there is no other class than in the row and nowhere."""

    def __init__(self, index: FactIndex | None = None) -> None:
        self._index = index
        self._texts: dict[str, list[tuple[DocumentText, TextValues]]] = {}
        self._current: dict[str, TextValues] = {}
        self._passages: dict[DocumentPassage, TextValues] = {}
        self._deleted: tuple[DeletedPieces, int] | None = None
        self._reading = asyncio.Lock()

    @property
    def unread(self) -> int:
        """The number of deleted documents that left nothing to compare with; 0 until a value was looked for in such."""
        return 0 if self._deleted is None else self._deleted[1]

    async def classify(self, conversation: Conversation) -> list[RowFact]:
        """Return the values of a row's replies that are learnt, each once."""
        facts, unknown = await asyncio.to_thread(_read_replies, conversation)  # a long text takes seconds
        if unknown:
            facts += await self._look_up(conversation, unknown)
        return list({fact.readings: fact for fact in facts}.values())

    async def _look_up(self, conversation: Conversation, values: Sequence[tuple[Value, str]]) -> list[RowFact]:
        passages: Sequence[DocumentPassage] = ()
        question = next((one.text for one in reversed(conversation.messages) if one.role == "user"), "")
        if self._index is not None:
            sentences = list(dict.fromkeys(f"{question} {sentence.strip()}" for _, sentence in values))[:_SENTENCES]
            passages = await self._index.search([question, *sentences], _PASSAGES)
        evidence = await asyncio.to_thread(self._read_passages, passages)
        by_document: defaultdict[str, list[DocumentPassage]] = defaultdict(list)
        for passage in passages:
            by_document[passage.document].append(passage)
        return [
            await self._find(conversation.number, value, by_document, evidence, f"{question} {sentence}")
            for value, sentence in values
        ]

    def _read_passages(self, passages: Iterable[DocumentPassage]) -> dict[DocumentPassage, TextValues]:
        if len(self._passages) > _REMEMBERED:
            self._passages = {}
        remembered = self._passages
        return {
            one: remembered.get(one) or remembered.setdefault(one, TextValues.of(f"{one.title}\n{one.text}"))
            for one in passages
        }

    async def _find(
        self,
        row: int,
        value: Value,
        by_document: dict[str, list[DocumentPassage]],
        evidence: dict[DocumentPassage, TextValues],
        context: str,
    ) -> RowFact:
        documents = _choose_documents(value, by_document, context)
        for document in documents:
            for passage in by_document[document]:
                if evidence[passage].states(value):
                    return _to_fact(row, value, "index", passage)
        for document in documents[:_DOCUMENTS]:
            passage = by_document[document][0]
            if stated_version := await self._find_earlier(passage, value, document):
                return _to_fact(row, value, "changed", passage, stated_version=stated_version)
        if piece := await self._find_deleted(value, by_document, context):
            return _to_deleted_fact(row, value, piece)
        return _to_fact(row, value, "nowhere")

    async def _find_earlier(self, passage: DocumentPassage, value: Value, document: str) -> int:
        """Return the last earlier version that has a value which the document has no more; 0 where none is."""
        assert self._index is not None
        if passage.version < 2:
            return 0
        if document not in self._texts:
            earlier = await self._index.read_earlier(document)
            self._texts[document] = [await asyncio.to_thread(_read_version, one) for one in earlier]
        version = next((one.version for one, evidence in self._texts[document] if evidence.states(value)), 0)
        if not version:
            return 0
        return 0 if (await self._read_current(passage.store, document)).states(value) else version

    async def _find_deleted(
        self, value: Value, by_document: dict[str, list[DocumentPassage]], context: str
    ) -> Piece | None:
        """Return what a deleted document said that fits as well as what those do that are there; None where none."""
        if self._index is None:
            return None
        async with self._reading:
            if self._deleted is None:
                deleted = await self._index.read_deleted()
                self._deleted = (await asyncio.to_thread(DeletedPieces.of, deleted.texts), deleted.unread)
        pieces = {one.source.document: one for one in reversed(self._deleted[0].list_stating(value))}  # the newest
        by_piece = {document: [_to_passage(piece)] for document, piece in pieces.items()}
        for document in _choose_documents(value, by_document | by_piece, context):
            piece = pieces.get(document)
            if piece is None:
                continue
            successor = piece.source.successor
            if successor is None or not (await self._read_current(*successor)).states(value):
                return piece
        return None

    async def _read_current(self, store: str, document: str) -> TextValues:
        assert self._index is not None
        if document not in self._current:
            text = await self._index.read_current(store, document)
            self._current[document] = await asyncio.to_thread(TextValues.of, text)
        return self._current[document]


def describe_facts(facts: Iterable[RowFact], unread: int = 0) -> list[Finding]:
    """Return a finding per class, those that belong out of a training first.

    Args:
        facts: The values of all rows.
        unread: How many documents were deleted that nothing is kept of: a value may have stood there.
    """
    by_class: defaultdict[FactClass, list[RowFact]] = defaultdict(list)
    for fact in facts:
        by_class[fact.place].append(fact)
    levels: dict[FactClass, tuple[Level, str, str, str]] = {
        "changed": (
            "error",
            "value",
            "values",
            "stood in an earlier version of a document, or in a deleted one, and would be recited",
        ),
        "index": ("warning", *_STANDING, "in documents and not in the row: give rows their passages ('rewrite')"),
        "nowhere": (
            "warning",
            *_STANDING,
            "neither in the row nor in a document, which teaches to make up such values",
        ),
        "evidence": ("info", *_STANDING, "in the row itself"),
    }
    findings: list[Finding] = []
    for place, (level, one, several, words) in levels.items():
        if some := by_class[place]:
            examples = ", ".join(_describe_fact(fact) for fact in some[:_MOST_NAMED])
            details: dict[str, Any] = {"kinds": dict(Counter(fact.kind for fact in some))}
            message = (
                f"{format_count(len(some), one, several)} {words}. {examples}{'…' if len(some) > _MOST_NAMED else ''}"
            )
            if place == "nowhere" and unread:
                details["unread_documents"] = unread
                message += (
                    f" Some may have stood in {format_count(unread, 'document that was', 'documents that were')} "
                    "deleted lately, of which nothing is kept to compare with."
                )
            findings.append(Finding.of(f"facts_{place}", level, message, (one.row for one in some), **details))
    return findings


def describe_document(fact: RowFact) -> str:
    """Name the document that a value stands or stood in, and when it was deleted, if it was."""
    if not fact.is_deleted:
        return fact.key
    moment = time.strftime(" on %Y-%m-%d at %H:%M UTC", time.gmtime(fact.deleted_at)) if fact.deleted_at else ""
    return f"{fact.title}, deleted{moment}"


def _describe_fact(fact: RowFact) -> str:
    return f"{fact.text!r} (row {fact.row}{f', {describe_document(fact)}' if fact.is_deleted else ''})"


def _read_replies(conversation: Conversation) -> tuple[list[RowFact], list[tuple[Value, str]]]:
    """Return the values of replies that stand in the row, and the others, each with its sentence."""
    evidence = TextValues.of(conversation.prompt)
    facts: list[RowFact] = []
    unknown: dict[tuple[str, ...], tuple[Value, str]] = {}
    for reply in conversation.replies:
        for value in find_values(reply):
            if evidence.states(value):
                facts.append(_to_fact(conversation.number, value, "evidence"))
            else:
                unknown.setdefault(value.readings, (value, _cut_sentence(reply, value)))
    return facts, list(unknown.values())


def _read_version(version: DocumentText) -> tuple[DocumentText, TextValues]:
    is_html = version.filename.lower().endswith((".html", ".htm", ".xhtml"))
    return version, TextValues.of(read_html(version.text) if is_html else version.text)


def _cut_sentence(reply: str, value: Value) -> str:
    start = max(reply.rfind(mark, 0, value.start) for mark in _SENTENCE_ENDS)
    ends = [end for mark in _SENTENCE_ENDS if (end := reply.find(mark, value.end)) >= 0]
    return reply[start + 1 : min(ends, default=len(reply))]


def _choose_documents(value: Value, by_document: dict[str, list[DocumentPassage]], context: str) -> list[str]:
    """Return the documents that may state a value, those with the most of the words around it first.

    An amount or a time may be anything's: that another product's document has the same one is chance, so of those only
    the first count, and all that have as many words. Other values are the same wherever they stand.
    """
    words = _read_words(context) - _read_words(value.text)
    own = {
        document: words & _read_words(" ".join(f"{one.key} {one.title} {one.text}" for one in passages))
        for document, passages in by_document.items()
    }
    shares = Counter(word for shared in own.values() for word in shared)
    weights = {word: log((len(own) + 1) / count) for word, count in shares.items()}  # what few have says more
    scores = {document: round(sum(weights[word] for word in shared), 6) for document, shared in own.items()}
    ranked = sorted(scores, key=lambda document: -scores[document])
    if value.kind not in ("number", "quantity", "money", "time", "date"):
        return ranked
    return [document for document in ranked if scores[document] == scores[ranked[0]] > 0]


def _read_words(text: str) -> set[str]:
    return {word for word in split_pairs(text) if len(word) > 1 and not is_function_word(word)}


def _to_fact(
    row: int, value: Value, place: FactClass, passage: DocumentPassage | None = None, *, stated_version: int = 0
) -> RowFact:
    fact = RowFact(row, value.kind, value.text, value.readings, place)
    if passage is None:
        return fact
    return msgspec.structs.replace(
        fact,
        store=passage.store,
        document=passage.document,
        key=passage.key,
        version=passage.version,
        stated=stated_version or passage.version,
        title=passage.title,
        passage=passage.text,
    )


def _to_passage(piece: Piece) -> DocumentPassage:
    source = piece.source
    return DocumentPassage(source.store, source.document, source.key, source.version, source.title, piece.text)


def _to_deleted_fact(row: int, value: Value, piece: Piece) -> RowFact:
    """Make the fact of a document that isn't there: it has no present version and no passage to be shown."""
    source = piece.source
    return msgspec.structs.replace(
        _to_fact(row, value, "changed"),
        store=source.store,
        document=source.document,
        key=source.key,
        stated=source.version,
        title=source.title,
        deleted_at=source.deleted_at,
    )
