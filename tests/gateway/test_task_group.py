"""Work that is done at once: in order, a few at a time, and over when one fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from gateway.advice.row_facts import find_row_facts
from gateway.answering.neighbours import extend_passages
from gateway.answering.question import Message
from gateway.answering.ranking import RankedPassage
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE
from gateway.assistants.release import ReleaseSpec, RetrievalSpec
from gateway.assistants.schemas import ReleaseCreate
from gateway.conversations.conversation import Conversation
from gateway.diagnoses.answer_judge import Voice
from gateway.diagnoses.attribution import Aspect
from gateway.diagnoses.cases import Case
from gateway.diagnoses.proposals import ProposalMaker
from gateway.diagnoses.replay import Replay
from gateway.diagnoses.variants import ReleaseVariant, ReleaseVariants
from gateway.errors import Unavailable
from gateway.task_group import await_each
from gateway.vector_stores.search import StoreStates, search
from retrieval.messages import Passage
from training.dataset import Message as RowMessage


@dataclass
class Work:
    """Fails at the second item, and counts those that ran on to their end."""

    begun: list[object] = field(default_factory=list[object])
    most: int = 0
    running: int = 0
    ends: int = 0

    async def do(self, item: object, *_: object) -> object:
        self.begun.append(item)
        self.running += 1
        self.most = max(self.most, self.running)
        if len(self.begun) == 2:
            raise Unavailable("It is away.")
        await asyncio.sleep(0.02)
        self.running -= 1
        self.ends += 1
        return item


async def test_results_have_the_order_of_their_items_and_few_are_done_at_once() -> None:
    work = Work(begun=[None, None])
    assert await await_each(work.do, range(7), at_once=3) == list(range(7))
    assert work.most == 3


async def test_the_first_that_fails_ends_the_others() -> None:
    work = Work()
    with pytest.raises(Unavailable, match="It is away"):
        await await_each(work.do, range(5))
    await asyncio.sleep(0.05)
    assert work.ends == 0


class Away:
    """Stands for an interview, an index, a search, a rewriter, or a retriever."""

    def __init__(self, work: Work) -> None:
        self.compose_whole = self.search = self.find = self.rewrite = self.read_content = partial(work.do, None)


async def _replay(away: Any) -> None:
    await Replay(away, Voice([])).answer(Target("base"), [Message("user", "How long?")], NO_EVIDENCE, 3)


async def _look_up(away: Any) -> None:
    turns = [RowMessage("user", "How long?"), RowMessage("assistant", "It is 31 months.")]
    await find_row_facts(away, [Conversation(number, turns) for number in range(3)])


async def _measure(away: Any) -> None:
    target = Target("base")
    variants = ReleaseVariants("desk@1", ReleaseSpec("base", "", None, None, "", None, {}), target, (), target)
    candidate = ReleaseVariant("best", "retrieval", "rank", "more passages", target, ReleaseCreate())
    cases: list[tuple[Case, Aspect]] = [
        (Case(id=str(number), messages=[Message("user", "How long?")]), "facts") for number in range(3)
    ]
    await ProposalMaker(away, away, variants, 3).choose([candidate], cases, [], [])


async def _search(away: Any) -> None:
    await search(away, away, "ten_1", StoreStates({"vs_1": 3}), ["How long?", "How much?", "When?"], limit=3)


async def _extend(away: Any) -> None:
    passages = [
        Passage(
            **{name: "x" for name in ("id", "document", "key", "file_id", "filename", "text", "heading")},
            **{"store": "vs_1", "version": 1, "start": at, "end": at + 1, "score": 0.5, "attributes": {}},
        )
        for at in range(3)
    ]
    spec, states = RetrievalSpec(("vs_1",), expand="neighbours"), StoreStates({"vs_1": 3})
    await extend_passages(away, "ten_1", spec, states, [RankedPassage(one) for one in passages])


@pytest.mark.parametrize("ask", [_replay, _look_up, _measure, _search, _extend])
async def test_whatever_is_done_at_once_ends_with_the_first_failure(ask: Callable[[Any], Awaitable[None]]) -> None:
    work = Work()
    with pytest.raises(Unavailable):
        await ask(Away(work))
    await asyncio.sleep(0.05)
    assert (len(work.begun) >= 2, work.ends) == (True, 0)
