"""What a model's name means is read once, and anew as soon as it may have changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, text

from gateway.db import open_database
from gateway.settings import Settings
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway
from tests.waiting import until

ASSISTANT = "/api/assistants/support"


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    """A tenant's client with the assistant `support`, whose first of two releases answers."""
    client = await gateway.tenant("kestrel")
    await client.post("/api/prompts", json={"name": "house", "template": "You answer for Kestrel."})
    await client.post("/api/assistants", json={"name": "support"})
    for _ in range(2):
        assert (await client.post(f"{ASSISTANT}/releases", json={"prompt": "house@1"})).status_code == 201
    await put(client, 1, 0)
    return client


async def put(client: httpx2.AsyncClient, release: int, revision: int) -> None:
    body = {"stages": [{"release": release, "weight": 100}], "revision": revision}
    assert (await client.put(f"{ASSISTANT}/rollout", json=body)).status_code == 200


async def ask(client: httpx2.AsyncClient, model: str = "support") -> httpx2.Response:
    return await client.post(CHAT, json={"model": model, "messages": [{"role": "user", "content": "Hello"}]})


@contextmanager
def selects(gateway: Gateway) -> Iterator[list[str]]:
    """The questions that routing asks the database inside the block."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "adapters.changed_at >=" in statement:
            return  # the reconciler's own look at what changed
        if statement.startswith("SELECT") and any(f"FROM {table}" in statement for table in TABLES):
            statements.append(statement)

    engine = gateway.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


TABLES = ("assistants", "rollouts", "releases", "prompts", "adapters")


@pytest.mark.parametrize("model", ["support", "support@2"])
async def test_an_assistant_asked_again_reads_nothing(
    gateway: Gateway, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr("gateway.db.recent._SECONDS", 600.0)
    assert (await ask(client, model)).status_code == 200
    with selects(gateway) as statements:
        for _ in range(5):
            assert (await ask(client, model)).status_code == 200
    assert statements == []


async def test_a_rollout_of_this_process_is_seen_by_the_next_question(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.db.recent._SECONDS", 600.0)
    for revision in range(1, 12):
        await put(client, 1 + revision % 2, revision)
        assert (await ask(client)).headers["braid-release"].startswith(f"support@{1 + revision % 2};")


async def test_a_rollout_of_another_process_is_seen_within_a_second(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    assert (await ask(client)).headers["braid-release"].startswith("support@1;")
    async with open_database(settings.database) as other, other.begin() as session:
        await session.execute(text("""UPDATE rollouts SET stages = '[{"release": 2, "weight": 100}]'"""))

    async def moved() -> bool:
        return (await ask(client)).headers["braid-release"].startswith("support@2;")

    await until(moved)


async def test_an_assistant_of_the_same_name_is_another_tenants_own(
    gateway: Gateway, client: httpx2.AsyncClient, engine: FakeVllm
) -> None:
    assert (await ask(client)).status_code == 200
    other = await gateway.tenant("harbor")
    assert (await ask(other)).status_code == 404
    await other.post("/api/assistants", json={"name": "support"})
    assert (await ask(other)).status_code == 409
    assert (await ask(other, "support@1")).status_code == 404
    assert (await ask(client)).status_code == 200


@pytest.mark.parametrize("number", ["0", "3", "99999999999999999999", "1" * 200, "١"])
async def test_a_number_that_no_release_has_is_not_found(client: httpx2.AsyncClient, number: str) -> None:
    answer = await ask(client, f"support@{number}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("options", "of_release"),
    [
        ({}, True),
        ({"adapter": True, "retrieval": True}, True),
        ({"adapter": False}, False),
        ({"retrieval": False}, False),
    ],
)
async def test_only_an_answer_without_switches_is_the_release_s(
    client: httpx2.AsyncClient, options: dict[str, bool], of_release: bool
) -> None:
    body = {"model": "support@1", "messages": [{"role": "user", "content": "Hello"}], "braid": options}
    answer = await client.post(CHAT, json=body)
    assert ("braid-release" in answer.headers) is of_release
    assert (answer.json()["system_fingerprint"] is not None) is of_release
    record = (await client.get(f"/api/answers/{answer.json()['id']}")).json()
    assert record["release"] == "support@1"


async def share(client: httpx2.AsyncClient, *stages: tuple[int, int]) -> None:
    body = {"stages": [{"release": release, "weight": weight} for release, weight in stages], "revision": 1}
    assert (await client.put(f"{ASSISTANT}/rollout", json=body)).status_code == 200


async def test_each_point_of_all_weights_is_one_release_s(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await share(client, (1, 0), (2, 2), (1, 1))
    for point, release in enumerate((2, 2, 1, 2, 2, 1)):
        digest = point.to_bytes(8)
        monkeypatch.setattr("gateway.answering.resolve._conversation_digest", lambda *_asked, digest=digest: digest)
        assert (await ask(client)).headers["braid-release"].startswith(f"support@{release};"), point


async def test_a_conversation_without_a_key_is_known_by_its_opening(client: httpx2.AsyncClient) -> None:
    await share(client, (1, 50), (2, 50))
    for number in range(6):
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Question {number}?"}]
        releases: set[str] = set()
        for more in range(3):
            answer = await client.post(CHAT, json={"model": "support", "messages": turns})
            releases.add(answer.headers["braid-release"])
            turns += [{"role": "assistant", "content": f"Yes {more}."}, {"role": "user", "content": f"And {more}?"}]
        assert len(releases) == 1
