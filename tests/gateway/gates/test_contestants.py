"""Whom a candidate is held against, and the passages that all of them are shown."""

from typing import Any

import pytest

import prompts
from gateway.answering.question import Message, Question
from gateway.answering.ranking import RankedPassage
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.assistants.release import RetrievalSpec
from gateway.gates.contestants import Contestant, Contestants
from gateway.gates.held_out_rows import HeldOutRow
from gateway.gates.row_evidence import NOTHING, RowEvidence, rewrite_passages
from gateway.vector_stores.search import StoreStates
from training.dataset import RowPassage

SPEC = RetrievalSpec(("vs_1",))
BASE = Contestant("base", "base", Target("base"))
CANDIDATE = Contestant("candidate", "desk@2", Target("k.x.2", "k.x.2", retrieval=SPEC))


def current(spec: RetrievalSpec | None) -> Contestant:
    return Contestant("current", "desk@1", Target("k.x.1", "k.x.1", retrieval=spec))


@pytest.mark.parametrize(
    ("against", "baseline", "faithful"),
    [(None, "base", "base"), (current(SPEC), "current", "current"), (current(None), "current", "base")],
)
def test_a_candidate_is_held_against_what_serves_now_as_far_as_that_can_be_asked(
    against: Contestant | None, baseline: str, faithful: str
) -> None:
    some = Contestants(CANDIDATE, against, BASE)
    assert (some.baseline.name, some.faithful_baseline.name) == (baseline, faithful)
    assert [one.name for one in some.list_all()] == ["candidate", *(["current"] if against else []), "base"]


def test_a_bare_model_has_its_adapter_and_nothing_of_its_release() -> None:
    template = prompts.compile(prompts.DEFAULT)
    kwargs = {"enable_thinking": False}
    target = Target("k.x.2", "k.x.2", "desk@2", "rel_1", template, SPEC, {"temperature": 1}, {"team": "K"}, kwargs)
    bare = Contestant("candidate", "desk@2", target).bare
    assert bare == Target("k.x.2", "k.x.2", chat_template_kwargs=kwargs)


class Searcher:
    """Finds one passage, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.reads = 0

    async def read_states(self, tenant: str, spec: RetrievalSpec) -> StoreStates:
        assert (tenant, spec) == ("kestrel", SPEC)
        self.reads += 1
        return StoreStates({"vs_1": 3})

    async def find(
        self, tenant: str, question: Question, spec: RetrievalSpec, *, states: StoreStates
    ) -> tuple[Evidence, list[str]]:
        assert spec == SPEC
        self.asked.append((tenant, question.messages[-1].content or ""))
        return Evidence("found", (), states.index_epochs), []


def row(passages: list[RowPassage] | None) -> HeldOutRow:
    return HeldOutRow(1, [Message("user", "How long?")], "31 months.", passages)


async def test_a_rows_own_passages_go_before_a_search_and_none_is_also_an_answer() -> None:
    searcher: Any = Searcher()
    finder = RowEvidence(searcher, "kestrel", CANDIDATE.target)
    own = await finder.find(row([RowPassage("K2", "31 months"), RowPassage("K3", "24 months")]))
    assert own.status == "found"
    assert [(one.id, one.heading, one.body) for one in own.passages] == [
        ("1", "K2", "31 months"),
        ("2", "K3", "24 months"),
    ]
    assert await finder.find(row([])) == NOTHING
    assert searcher.asked == []
    assert (await finder.find(row(None))).index_epochs == {"vs_1": 3}
    assert (await finder.find(row(None))).index_epochs == {"vs_1": 3}
    assert searcher.asked == 2 * [("kestrel", "How long?")]
    assert searcher.reads == 1, "all rows are searched at the same index epochs"


async def test_a_release_without_stores_is_shown_nothing_whatever_the_row_has() -> None:
    searcher: Any = Searcher()
    assert await RowEvidence(searcher, "kestrel", BASE.target).find(row([RowPassage("K2", "x")])) == NO_EVIDENCE


async def test_other_texts_stand_in_the_place_of_the_passages_bodies() -> None:
    searcher: Any = Searcher()
    own = await RowEvidence(searcher, "kestrel", CANDIDATE.target).find(row([RowPassage("K2", "31 months")]))
    (first,) = own.passages
    headed = Evidence("found", (first,), {"vs_1": 3}, hits=(RankedPassage(first),))
    (changed,) = rewrite_passages(headed, ["34 months"]).passages
    assert (changed.body, changed.heading, changed.id) == ("34 months", "K2", "1")
    assert rewrite_passages(headed, ["34 months"]).hits == ()
    with pytest.raises(ValueError, match="zip"):
        rewrite_passages(headed, [])
