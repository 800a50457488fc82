"""The facts of conversations before anything is asked: how many have some, where they stand, whether they change."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from gateway.conversations.conversation import Conversation
from gateway.conversations.facts_lint import FactIndex, FactsLint
from gateway.conversations.findings import RowFact
from gateway.evaluation.values import TextValues, Value
from gateway.task_group import await_each

__all__ = ["ChangedFact", "FactsLook", "find_row_facts", "look_at_facts", "read_value", "score_facts"]

_AT_ONCE = 4  # of a retriever that others ask too
_DAY = 86_400.0


class ChangedFact(msgspec.Struct, frozen=True):
    """A value that a document stated and states no more.

    Attributes:
        key: The document's.
        stated: The last version that had it.
        version: The present one; 0 where the document was deleted.
        rows: The conversations whose replies have it.
        learnt: Whether the adapter has learnt it.
        recited: How many answers of the adapter state it.
    """

    text: str
    key: str
    stated: int
    version: int
    rows: list[int]
    learnt: bool = False
    recited: int = 0


class FactsLook(msgspec.Struct, frozen=True):
    """The look at conversations.

    Attributes:
        rows: Conversations that were looked at, and `with_facts`, those whose reply has a value that isn't in the
            conversation.
        indexed: Values that stand in documents (or in the conversations' own passages).
        changed: Values that stood in earlier versions of documents.
        nowhere: Values that stand in no document.
        in_system: Values that stand in the system text.
        documents: Documents that state or stated one of the values; `changing`, those with several versions.
        days_between: The middle of the times between two versions of one document; None where none has two.
        days_followed: How long the oldest of them has been there.
    """

    rows: int
    with_facts: int
    indexed: int
    changed: int
    nowhere: int
    in_system: int
    documents: int
    changing: int
    days_between: float | None
    days_followed: float

    @property
    def share(self) -> float:
        """The share of replies that have a fact."""
        return self.with_facts / self.rows if self.rows else 0.0

    @property
    def pace(self) -> str:
        """The pace at which the facts' documents change, as an adverb; "" where none has changed yet."""
        if self.days_between is None:
            return ""
        limits = {0.5: "several times a day", 3.0: "every day or two", 11.0: "weekly", 45.0: "monthly"}
        return next((word for days, word in limits.items() if self.days_between <= days), "now and then")


async def find_row_facts(
    index: FactIndex | None, conversations: Sequence[Conversation]
) -> dict[int, tuple[RowFact, ...]]:
    """Find the facts of each conversation's last reply, by its number.

    A fact is a value that doesn't stand in the turns before: the model has to have it from somewhere. Its place is
    `evidence` where the system text has it. With an index it is looked up there as it is now, whatever passages the
    conversation has; without one those passages are the documents.

    Raises:
        Unavailable: The retriever can't answer now.
    """
    lint = FactsLint(index)

    async def find(conversation: Conversation) -> tuple[RowFact, ...]:
        bare = Conversation(conversation.number, conversation.messages, conversation.id)
        facts = await lint.classify(bare)
        return await asyncio.to_thread(_select, facts, conversation, index is not None)

    results = await await_each(find, conversations, at_once=_AT_ONCE)
    return {one.number: facts for one, facts in zip(conversations, results, strict=True)}


def _select(facts: Sequence[RowFact], conversation: Conversation, indexed: bool) -> tuple[RowFact, ...]:
    turns = TextValues.of(
        "\n".join(one.text for one in conversation.messages[:-1] if one.role in ("user", "assistant"))
    )
    reply = TextValues.of(conversation.messages[-1].text)
    selected: list[RowFact] = []
    for fact in facts:
        value = read_value(fact)
        if reply.states(value) and not turns.states(value):
            selected.append(fact if indexed else _look_into_passages(fact, value, conversation))
    return tuple(selected)


def _look_into_passages(fact: RowFact, value: Value, conversation: Conversation) -> RowFact:
    for passage in conversation.passages or ():
        if fact.place == "nowhere" and TextValues.of(f"{passage.title}\n{passage.text}").states(value):
            return msgspec.structs.replace(fact, place="index", key=passage.title, passage=passage.text)
    return fact


def look_at_facts(facts: Mapping[int, Sequence[RowFact]], times: Mapping[str, Sequence[int]], now: float) -> FactsLook:
    """Sum the facts up; `times` are when each version of a document was put, in Unix seconds, by its id."""
    every = [fact for some in facts.values() for fact in some]
    gaps = [(later - earlier) / _DAY for one in times.values() for earlier, later in pairwise(one)]
    oldest = min((one[0] for one in times.values() if one), default=now)
    return FactsLook(
        rows=len(facts),
        with_facts=sum(bool(some) for some in facts.values()),
        indexed=sum(fact.place == "index" for fact in every),
        changed=sum(fact.place == "changed" for fact in every),
        nowhere=sum(fact.place == "nowhere" for fact in every),
        in_system=sum(fact.place == "evidence" for fact in every),
        documents=len({fact.document or fact.key for fact in every if fact.place in ("index", "changed")}),
        changing=sum(len(one) > 1 for one in times.values()),
        days_between=median(gaps) if gaps else None,
        days_followed=max(0.0, (now - oldest) / _DAY),
    )


def read_value(fact: RowFact) -> Value:
    """Return a fact as the value that it was read as."""
    return Value(fact.kind, fact.text, 0, len(fact.text), fact.readings)


def score_facts(facts: Sequence[RowFact], answer: str, *, documented: bool) -> float | None:
    """Return the share of a row's facts that an answer gets right; None where nobody could tell.

    A value that documents state is right as it is. In the place of one that they have changed another one of its kind
    from the document's present text is right, and the old one is wrong. With documents (`documented`), values that
    stand nowhere are nobody's to know.
    """
    known_facts = [fact for fact in facts if not (documented and fact.place == "nowhere")]
    if not known_facts:
        return None
    evidence = TextValues.of(answer)
    return sum(_is_right(fact, evidence) for fact in known_facts) / len(known_facts)


def _is_right(fact: RowFact, answer: TextValues) -> bool:
    is_stated = answer.states(read_value(fact))
    if fact.place != "changed":
        return is_stated
    present = TextValues.of(f"{fact.title}\n{fact.passage}")
    prefix = fact.readings[0].partition(":")[0]
    prefixes = (f"{prefix}:", "size:") if prefix == "quantity" else f"{prefix}:"
    others = {reading for reading in answer.readings if reading.startswith(prefixes)}
    return not is_stated and bool(others & present.readings)
