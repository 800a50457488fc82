"""Reports of evaluations, comparisons, gates and diagnoses go when their time is over; what a release needs stays."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.comparisons import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.comparisons.service import delete_old_comparisons
from gateway.db import Database, open_database
from gateway.diagnoses import DiagnosisRow
from gateway.diagnoses.service import delete_old_diagnoses
from gateway.gates import GateRow
from gateway.gates.service import delete_old_gates
from gateway.jobs import delete_older
from gateway.tenants.tables import TenantRow

NOW = int(time.time())
OLD, YOUNG = NOW - 3 * 86_400, NOW - 86_400
OF = {"tenant_id": "kestrel", "created_at": 1}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An assistant with six releases, of which 5 answers, a roll back returns to 3, and 2 has the content of 3."""
    async with open_database(database_url) as opened:
        async with opened.begin() as session:
            session.add(TenantRow(id="kestrel", name="kestrel", created_at=1))
            await session.flush()
            session.add(AssistantRow(id="asst", name="support", **OF))
            await session.flush()
            gate = {"passed": True, "decided_at": OLD}
            for number in range(1, 7):
                fingerprint = f"rel_{3 if number == 2 else number}"
                values: dict[str, Any] = {"assistant_id": "asst", "number": number, "gate": gate, "spec": {}}
                session.add(ReleaseRow(id=f"r{number}", fingerprint=fingerprint, **values, **OF))
            for revision, number, previous in ((1, 1, None), (2, 3, 1), (3, 5, 2)):
                values = {"assistant_id": "asst", "stages": [{"release": number, "weight": 1}], "previous": previous}
                session.add(RolloutRow(id=f"ro{revision}", revision=revision, **values, **OF))
        yield opened


async def ids(database: Database, table: type[Any]) -> list[str]:
    async with database.read() as session:
        return sorted((await session.scalars(select(table.id))).all())


async def test_gates_go_but_for_those_of_releases_that_answer_or_would_by_a_roll_back(database: Database) -> None:
    async with database.begin() as session:
        for number in range(1, 7):
            values: dict[str, Any] = {"assistant_id": "asst", "status": "succeeded", "source": "", "options": {}}
            values |= {"number": number, "total": 1, "finished_at": YOUNG if number == 6 else OLD}
            session.add(GateRow(id=f"g{number}", **values, **OF))
    assert await delete_older(database, delete_old_gates, 0) == 0
    assert await delete_older(database, delete_old_gates, 2, batch=1) == 2
    assert await ids(database, GateRow) == ["g2", "g3", "g5", "g6"]
    async with database.read() as session:
        assert all((await session.scalars(select(ReleaseRow.gate))).all()), "verdicts stay"


async def test_comparisons_go_with_items_and_votes_some_time_after_the_last_vote(database: Database) -> None:
    async with database.begin() as session:
        for id, finished in (("old", OLD), ("voted", OLD), ("young", YOUNG), ("running", None)):
            values: dict[str, Any] = {"name": "", "meta": {}, "status": "succeeded", "models": [], "sampling": {}}
            values |= {"source": {}, "seed": 1, "prompts_digest": "", "bytes": 0, "total": 1, "key": ""}
            session.add(ComparisonRow(id=id, finished_at=finished, **values, **OF))
            await session.flush()
            content: dict[str, Any] = {"number": 1, "swapped": False, "messages": [], "answers": []}
            session.add(ComparisonItemRow(id=f"{id}-item", comparison_id=id, **content, **OF))
            await session.flush()
            for voter, at in (("ann", OLD), ("bob", YOUNG if id == "voted" else OLD)):
                vote: dict[str, Any] = {"comparison_id": id, "item_id": f"{id}-item", "voter": voter, "preferred": "a"}
                session.add(ComparisonVoteRow(id=f"{id}-{voter}", updated_at=at, **vote, **OF))
    assert await delete_older(database, delete_old_comparisons, 0) == 0
    assert await delete_older(database, delete_old_comparisons, 2, batch=2) == 4, "two votes, an item, a comparison"
    assert await ids(database, ComparisonRow) == ["running", "voted", "young"]
    assert len(await ids(database, ComparisonVoteRow)) == 6


async def test_diagnoses_go_and_one_that_runs_stays(database: Database) -> None:
    async with database.begin() as session:
        for id, finished in (("old", OLD), ("young", YOUNG), ("running", None)):
            values: dict[str, Any] = {
                "assistant_id": "asst",
                "assistant": "support",
                "number": 1,
                "status": "",
                "sources": [],
            }
            values |= {"options": {}, "inputs_digest": "", "failures": 1, "passes": 0, "strands": {}, "releases": {}}
            session.add(DiagnosisRow(id=id, finished_at=finished, **values, **OF))
    assert await delete_older(database, delete_old_diagnoses, 2) == 1
    assert await ids(database, DiagnosisRow) == ["running", "young"]
