"""Jobs that judge a release search as it does, and wait where it would answer without its documents."""

import pytest
from msgspec.structs import replace

from gateway.answering.question import Message
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.resolve import Target
from gateway.answering.row_passages import RowPassages
from gateway.answering.search_decision import SearchDecider
from gateway.answering.turn import load_turn_classifier
from gateway.assistants.release import RetrievalSpec
from gateway.diagnoses.case_search import CaseSearch
from gateway.diagnoses.cases import Case
from gateway.engines.base_traits import BaseTraits
from gateway.errors import Unavailable
from gateway.gates.held_out_rows import HeldOutRow
from gateway.gates.row_evidence import RowEvidence
from gateway.metrics import Metrics
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.search import read_states
from gateway.vector_stores.tables import StoreRow
from tests.fakes.retriever import FakeRetriever, Fault
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import Client, index
from training.dataset import Message as RowMessage

__all__ = ["index", "settings"]

TURN = Message("user", "How long is the warranty?")


async def fail() -> None:
    raise Fault("unavailable", "it is away")


async def test_a_release_that_degrades_is_not_judged_by_answers_without_documents(
    gateway: Gateway, index: FakeRetriever
) -> None:
    state = gateway.state
    client = Client(gateway, await gateway.tenant("kestrel"))
    store = await client.store()
    await client.put(store, "k2.md", "The warranty of the K2 is long: 31 months.")
    await client.settle()
    async with state.database.read() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        states = await read_states(session, tenant, [store])
    rewriter = QuestionRewriter(state.pool, Metrics(), BaseTraits(state.pool, state.base))
    decider = SearchDecider(load_turn_classifier(), rewriter)
    searcher = ReleaseSearcher(state.database, state.retriever, decider)
    target = Target("base", retrieval=RetrievalSpec((store,), mode="degrade"))
    row, case = HeldOutRow(1, [TURN], "31 months.", None), Case(id="1", messages=[TURN], answer="31 months.")
    of_gate, of_diagnosis = RowEvidence(searcher, tenant, target), CaseSearch(searcher, tenant)

    index.before["search"] = fail
    with pytest.raises(Unavailable):
        await of_gate.find(row)
    with pytest.raises(Unavailable):
        await of_diagnosis.find(target, case)
    with pytest.raises(Unavailable):
        await RowPassages(searcher).find(tenant, [RowMessage("user", TURN.content or "")], states, 3)

    del index.before["search"]
    evidence, texts = await of_diagnosis.find(target, case)
    assert (evidence.status, list(texts)) == ("found", [TURN.content])
    assert await of_gate.find(row) == evidence


async def test_all_rows_see_the_documents_as_they_were_at_first(gateway: Gateway, index: FakeRetriever) -> None:
    state = gateway.state
    client = Client(gateway, await gateway.tenant("kestrel"))
    store = await client.store()
    await client.put(store, "k2.md", "The warranty of the K2 is long: 31 months.")
    await client.settle()
    async with state.database.read() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
    rewriter = QuestionRewriter(state.pool, Metrics(), BaseTraits(state.pool, state.base))
    searcher = ReleaseSearcher(state.database, state.retriever, SearchDecider(load_turn_classifier(), rewriter))
    target, row = Target("base", retrieval=RetrievalSpec((store,))), HeldOutRow(1, [TURN], "31 months.", None)

    async def find(evidence: RowEvidence) -> str:
        return "".join(one.text for one in (await evidence.find(row)).passages)

    first, second = RowEvidence(searcher, tenant, target), RowEvidence(searcher, tenant, target)
    kept = await first.freeze()
    assert "31 months" in await find(second)
    await client.put(store, "k2.md", "The warranty of the K2 is long: 40 months.")
    await client.settle()
    again, anew = RowEvidence(searcher, tenant, target), RowEvidence(searcher, tenant, target)
    assert await again.freeze(kept) == kept
    for evidence in (first, second, again):
        assert "31 months" in await find(evidence)
    # After an hour the index may have let go of them: then all rows are searched at one newer state.
    assert (await anew.freeze(replace(kept, read_at=kept.read_at - 7200))).index_epochs != kept.index_epochs
    assert "40 months" in await find(anew)
