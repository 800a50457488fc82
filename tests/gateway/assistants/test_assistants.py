"""Assistants and releases over HTTP, and what a fingerprint covers."""

from typing import Any

import httpx2
import msgspec
import pytest

from gateway.assistants.release import AdapterRef, PromptRef, ReleaseSpec, RetrievalSpec
from tests.fakes.passages import FakePassages
from tests.gateway.conftest import Gateway

SPEC = ReleaseSpec(
    base_model="base",
    base_digest="sha256:1",
    adapter=AdapterRef("ft:base:kestrel:style:1", "kestrel.style.1", "a"),
    prompt=PromptRef("house", 1, "p"),
    builtin_prompt="b",
    retrieval=RetrievalSpec(("vs_1",), 5, 0.1, "required", "minilm"),
    sampling={"temperature": 0.5},
)


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


def error(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


async def create(client: httpx2.AsyncClient, name: str = "support") -> dict[str, Any]:
    answer = await client.post("/api/assistants", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_new_assistant_has_no_traffic(client: httpx2.AsyncClient) -> None:
    created = await create(client)
    assert created["id"].startswith("asst_")
    assert (created["name"], created["stages"], created["revision"]) == ("support", [], 0)
    assert (await client.get("/api/assistants/support")).json() == created
    assert (await client.get("/api/assistants")).json() == {"data": [created]}
    assert (await client.get("/api/assistants/support/rollout")).json() == {
        "assistant": "support",
        "stages": [],
        "revision": 0,
    }


@pytest.mark.parametrize("name", ["support", "base"])
async def test_a_name_is_given_once_and_never_the_base_models(client: httpx2.AsyncClient, name: str) -> None:
    await create(client)
    assert error(await client.post("/api/assistants", json={"name": name}), 409)["param"] == "name"


@pytest.mark.parametrize("name", ["", "a b", "@1", "support@7", "a/b", ".hidden", "x" * 64, None, 7])
async def test_a_name_that_could_not_be_asked_for_is_refused(client: httpx2.AsyncClient, name: object) -> None:
    assert error(await client.post("/api/assistants", json={"name": name}), 400)["param"] == "name"


async def test_two_tenants_can_have_assistants_of_one_name(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    harbor = await gateway.tenant("harbor")
    assert (await create(client))["id"] != (await create(harbor))["id"]
    assert len((await harbor.get("/api/assistants")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/releases", None),
        ("POST", "/releases", {}),
        ("GET", "/rollout", None),
        ("PUT", "/rollout", {"stages": [{"release": 1}], "revision": 0}),
        ("POST", "/rollback", {"revision": 0}),
    ],
)
async def test_an_unknown_assistant_is_404(
    client: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await client.request(method, f"/api/assistants/nobody{path}", json=body)
    assert "POST /api/assistants" in error(answer, 404)["message"]


async def test_releases_are_numbered_from_one_and_listed_with_their_spec(client: httpx2.AsyncClient) -> None:
    await create(client)
    releases = [
        (await client.post("/api/assistants/support/releases", json={"sampling": {"temperature": value}})).json()
        for value in (0.1, 0.2)
    ]
    assert [release["release"] for release in releases] == [1, 2]
    listed = (await client.get("/api/assistants/support/releases")).json()["data"]
    assert [(r["release"], r["fingerprint"]) for r in listed] == [(r["release"], r["fingerprint"]) for r in releases]
    assert [release["spec"]["sampling"] for release in listed] == [{"temperature": 0.1}, {"temperature": 0.2}]


async def test_the_same_release_again_has_another_number_and_the_same_fingerprint(client: httpx2.AsyncClient) -> None:
    await create(client)
    first, second = [
        (await client.post("/api/assistants/support/releases", json={"sampling": {"top_p": 0.9}})).json()
        for _ in range(2)
    ]
    assert first["release"] != second["release"]
    assert first["fingerprint"] == second["fingerprint"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"adapter": "ft:base:kestrel:style:00000000"}, 404, "adapter"),
        ({"base_model": "another"}, 400, "base_model"),
        ({"prompt": "house@9"}, 404, "prompt"),
        ({"prompt": "nothing"}, 404, "prompt"),
        ({"retrieval": {"vector_stores": ["vs_unknown"]}}, 404, "retrieval.vector_stores"),
        ({"retrieval": {"vector_stores": []}}, 400, "retrieval.vector_stores"),
        ({"retrieval": {"vector_stores": ["vs_1"], "top_k": 0}}, 400, "retrieval.top_k"),
        ({"retrieval": {"vector_stores": ["vs_1"], "score_threshold": 2}}, 400, "retrieval.score_threshold"),
        ({"retrieval": {"vector_stores": ["vs_1"], "mode": "maybe"}}, 400, "retrieval.mode"),
        ({"sampling": {"temperature": 3}}, 400, "sampling.temperature"),
        ({"sampling": {"n": 2}}, 400, "sampling.n"),
        ({"adaptor": None}, 400, "adaptor"),
    ],
)
async def test_a_release_that_could_not_answer_is_refused_and_takes_no_number(
    client: httpx2.AsyncClient, body: dict[str, Any], status: int, param: str
) -> None:
    await create(client)
    assert error(await client.post("/api/assistants/support/releases", json=body), status)["param"] == param
    assert (await client.post("/api/assistants/support/releases", json={})).json()["release"] == 1


async def test_a_release_keeps_its_prompts_version_and_its_stores_embedder(client: httpx2.AsyncClient) -> None:
    await create(client)
    for template in ("One.", "Two."):
        await client.post("/api/prompts", json={"name": "house", "template": template})
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    body = {"prompt": "house", "retrieval": {"vector_stores": [store]}}
    await client.post("/api/assistants/support/releases", json=body)
    await client.post("/api/prompts", json={"name": "house", "template": "Three."})
    (release,) = (await client.get("/api/assistants/support/releases")).json()["data"]
    spec = msgspec.convert(release["spec"], ReleaseSpec)
    assert spec.fingerprint == release["fingerprint"]
    assert spec.prompt is not None
    assert (spec.prompt.name, spec.prompt.version) == ("house", 2)
    assert spec.retrieval is not None
    assert spec.retrieval.vector_stores == (store,)
    assert spec.retrieval.embedder


@pytest.mark.parametrize(
    "change",
    [
        {"base_model": "other"},
        {"base_digest": "sha256:2"},
        {"adapter": None},
        {"adapter": AdapterRef("ft:base:kestrel:style:1", "kestrel.style.1", "b")},
        {"prompt": None},
        {"prompt": PromptRef("house", 2, "p")},
        {"prompt": PromptRef("house", 1, "q")},
        {"builtin_prompt": "c"},
        {"retrieval": None},
        {"retrieval": RetrievalSpec(("vs_1", "vs_2"), 5, 0.1, "required", "minilm")},
        {"retrieval": RetrievalSpec(("vs_1",), 6, 0.1, "required", "minilm")},
        {"retrieval": RetrievalSpec(("vs_1",), 5, 0.2, "required", "minilm")},
        {"retrieval": RetrievalSpec(("vs_1",), 5, 0.1, "degrade", "minilm")},
        {"retrieval": RetrievalSpec(("vs_1",), 5, 0.1, "required", "mpnet")},
        {"sampling": {}},
        {"sampling": {"temperature": 0.6}},
        {"sampling": {"temperature": 0.5, "seed": 1}},
    ],
    ids=str,
)
def test_a_fingerprint_changes_with_each_part_of_a_release(change: dict[str, Any]) -> None:
    assert msgspec.structs.replace(SPEC, **change).fingerprint != SPEC.fingerprint


def test_a_fingerprint_survives_storing_and_the_order_of_settings() -> None:
    stored = msgspec.convert(msgspec.json.decode(msgspec.json.encode(SPEC)), ReleaseSpec)
    assert stored.fingerprint == SPEC.fingerprint
    one = msgspec.structs.replace(SPEC, sampling={"top_p": 0.9, "seed": 1})
    other = msgspec.structs.replace(SPEC, sampling={"seed": 1, "top_p": 0.9})
    assert one.fingerprint == other.fingerprint
