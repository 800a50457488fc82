"""What a tenant keeps, or has waiting, up to a documented bound is taken, and one more is refused."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import func, insert, inspect, select, update

from gateway.comparisons.service import COMPARE
from gateway.comparisons.tables import ComparisonRow, ComparisonVoteRow
from gateway.diagnoses.service import DIAGNOSE
from gateway.evals.run_service import EVAL_RUN
from gateway.evals.tables import EvalRow
from gateway.evaluation_jobs.service import ADVISE, EVALUATE
from gateway.files.tables import FileRow, UploadPartRow, UploadRow
from gateway.gates.service import GATE
from gateway.jobs import JobRow, enqueue
from tests.architecture.documented_bounds import numbers
from tests.fakes.passages import FakePassages
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.test_foreign_ids import EVAL, RUN, ids

__all__ = ["ids"]

PREFERRED = {"preferred": "tie"}
PROMPTS = [{"messages": [{"role": "user", "content": "How long?"}]}]
COMPARISON = {"models": ["base", "support@1"], "prompts": PROMPTS}
QUEUES = "evaluations, runs of evals, comparisons, gates, and diagnoses, of a tenant that wait"


@pytest.fixture
async def client(gateway: Gateway, ids: dict[str, str], passages: FakePassages) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def multiply(gateway: Gateway, table: type[Any], total: int, **numbered: str) -> None:
    """Copy the one row of a table until there are so many; `numbered` columns are another in each."""
    names = [column.key for column in inspect(table).column_attrs]
    async with gateway.state.database.begin() as session:
        row = (await session.scalars(select(table))).one()
        values = {name: getattr(row, name) for name in names}
        copies = [
            {**values, "id": f"{row.id}_{number}", **{name: f"{text}{number}" for name, text in numbered.items()}}
            for number in range(total - 1)
        ]
        await session.execute(insert(table), copies)


async def post(client: httpx2.AsyncClient, path: str, **body: Any) -> tuple[int, str | None]:
    """Return the status and, of a refusal, the code."""
    answer = await client.post(path, **body)
    return answer.status_code, None if answer.is_success else answer.json()["error"]["code"]


async def test_a_tenant_keeps_as_many_as_documented_and_no_more(
    gateway: Gateway, client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    comparisons, _, _, votes = numbers("comparisons of a tenant; prompts of one; votes on an item")
    evals, _ = numbers("evals of a tenant; criteria of one")
    _, parts = numbers("an upload in parts")
    uploads, _ = numbers("a tenant's pending uploads in parts")
    part = f"/v1/uploads/{ids['upload_id']}/parts"
    vote = f"/api/comparisons/{ids['comparison_id']}/items/{ids['item_id']}/votes"
    begun = {"filename": "a.txt", "purpose": "assistants", "bytes": 1, "mime_type": "text/plain"}
    await post(client, vote, json=PREFERRED)
    await post(client, part, files={"data": ("data", b"x")})
    for table, most, numbered, path, body, code in (
        (EvalRow, evals, {}, "/v1/evals", {"json": EVAL}, "too_many_evals"),
        (ComparisonVoteRow, votes, {"voter": "v"}, vote, {"json": {**PREFERRED, "voter": "one"}}, "too_many_votes"),
        (ComparisonRow, comparisons, {}, "/api/comparisons", {"json": COMPARISON}, "too_many_comparisons"),
        (UploadPartRow, parts, {}, part, {"files": {"data": ("data", b"x")}}, "upload_too_large"),
        (UploadRow, uploads, {}, "/v1/uploads", {"json": begun}, "too_many_uploads"),
    ):
        await multiply(gateway, table, most - 1, **numbered)
        status, _ = await post(client, path, **body)
        assert status in (200, 201, 202), path
        if table is ComparisonVoteRow:
            body = {"json": {**PREFERRED, "voter": "another"}}
        assert await post(client, path, **body) == (400 if table is UploadPartRow else 429, code)


async def test_as_many_jobs_of_a_kind_wait_as_documented_and_no_more(
    gateway: Gateway, client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    (most,) = numbers(QUEUES)
    for _ in range(2):
        await client.post("/api/assistants/support/releases", json={})
    talks = {"file": ("rows.jsonl", rows(40)), "purpose": (None, "fine-tune")}
    file = (await client.post("/v1/files", files=talks)).json()["id"]
    retrieval = {"kind": "retrieval", "vector_store_id": ids["vector_store_id"]}
    evaluation = {**retrieval, "questions": [{"question": "x", "documents": []}]}
    diagnosis = {"model": "support@1", "failures": [{"question": "x", "expected": ["31 months"]}]}
    gate = "/api/assistants/support/releases/{}/gate"
    for kind, path, body in (
        (EVALUATE, "/api/evaluations", evaluation),
        (ADVISE, "/api/evaluations", {"kind": "advice", "file_id": file}),
        (EVAL_RUN, f"/v1/evals/{ids['eval_id']}/runs", RUN),
        (COMPARE, "/api/comparisons", COMPARISON),
        (GATE, gate, {"file_id": file}),
        (DIAGNOSE, "/api/diagnoses", diagnosis),
    ):
        async with gateway.state.database.begin() as session:
            tenant = (await session.scalars(select(EvalRow.tenant_id))).one()
            waiting = select(func.count()).where(JobRow.kind == kind, JobRow.tenant_id == tenant)
            for _ in range(await session.scalar(waiting) or 0, most - 1):
                await enqueue(session, tenant, kind=kind, queue_key=kind, subject="s", payload={})
        assert (await post(client, path.format(2), json=body))[1] is None, kind
        assert await post(client, path.format(3), json=body) == (429, "too_many_queued_jobs"), kind


async def test_a_file_of_rows_may_have_the_documented_bytes_and_no_more(
    gateway: Gateway, client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    _, _, _, most, _ = numbers("rows of a run: in its request; in a file; a row")
    sent = {"file": ("items.jsonl", b'{"item": {"a": "b"}}'), "purpose": (None, "evals")}
    file = (await client.post("/v1/files", files=sent)).json()["id"]
    run = {"data_source": {"type": "jsonl", "source": {"type": "file_id", "id": file}}}
    for size, refused in ((most, None), (most + 1, "invalid_items")):
        async with gateway.state.database.begin() as session:  # its row says so; the bytes are what they were
            await session.execute(update(FileRow).where(FileRow.id == file).values(bytes=size))
        assert (await post(client, f"/v1/evals/{ids['eval_id']}/runs", json=run))[1] == refused
