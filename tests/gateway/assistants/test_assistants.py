"""Assistants and releases over HTTP, and what a fingerprint covers."""

import json
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gateway.assistants.release import AdapterRef, PromptRef, ReleaseSpec, RetrievalSpec, ServedParts, split_release
from gateway.assistants.schemas import ReleaseCreate
from gateway.assistants.service import AssistantService
from gateway.errors import Unavailable
from gateway.tenants.tables import TenantRow
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import BASE, Gateway

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
    assert (await client.get("/api/assistants")).json()["data"] == [created]
    assert (await client.get("/api/assistants/support/rollout")).json() == {
        "assistant": "support",
        "stages": [],
        "revision": 0,
        "forced": [],
        "gates": {},
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


async def test_equal_releases_have_equal_fingerprints_around_a_restart_of_the_retriever(
    client: httpx2.AsyncClient, passages: FakePassages
) -> None:
    await create(client)
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    body = {"retrieval": {"vector_stores": [store]}}
    first = (await client.post("/api/assistants/support/releases", json=body)).json()
    passages.failing = True
    refused = await client.post("/api/assistants/support/releases", json=body)
    assert "which embedder" in error(refused, 503)["message"]
    assert refused.headers["retry-after"]
    without = await client.post("/api/assistants/support/releases", json={})
    assert without.status_code == 201, "a release without retrieval is tied to no embedder"
    passages.failing = False
    second = (await client.post("/api/assistants/support/releases", json=body)).json()
    assert (first["fingerprint"], second["release"]) == (second["fingerprint"], 3)


async def test_a_release_with_passages_is_tied_to_their_layout_in_the_prompt(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(client)
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    bodies: list[dict[str, Any]] = [{}, {"retrieval": {"vector_stores": [store]}}]
    before = [(await client.post("/api/assistants/support/releases", json=body)).json() for body in bodies]
    monkeypatch.setattr("prompts.EVIDENCE_LAYOUT", "another")
    after = [(await client.post("/api/assistants/support/releases", json=body)).json() for body in bodies]
    same = [one["fingerprint"] == other["fingerprint"] for one, other in zip(before, after, strict=True)]
    assert same == [True, False]


async def test_a_release_is_tied_to_the_bases_weights_and_template(client: httpx2.AsyncClient) -> None:
    await create(client)
    await client.post("/api/assistants/support/releases", json={})
    (release,) = (await client.get("/api/assistants/support/releases")).json()["data"]
    assert (release["spec"]["base_digest"], release["spec"]["chat_template"]) == (
        BASE.digest,
        BASE.chat_template_digest,
    )
    assert "markers" not in release["spec"], "as it was before they were known"


async def test_while_nobody_knows_the_bases_weights_no_release_is_made(
    client: httpx2.AsyncClient, gateway: Gateway
) -> None:
    await create(client)
    served = ServedParts(base_model="base", base_digest="", embedder="fake")
    async with gateway.state.database.begin() as session:
        tenant = (await session.scalars(select(TenantRow.id).where(TenantRow.name == "kestrel"))).one()
        service = AssistantService(session, tenant, served)
        with pytest.raises(Unavailable, match="BRAID_BASE_MODEL"):
            await service.create_release("support", ReleaseCreate())


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
        {"variables": {"house": "Kestrel"}},
        {"chat_template": "sha256:other"},
        {"folds_system": True},
        {"markers": "sha256:markers"},
        {"ranking": "bm25-2/sum-2"},
        {"adapter": AdapterRef("ft:base:kestrel:style:1", "kestrel.style.1", "a", {"date_string": "1 Jan 2026"})},
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


def test_a_fingerprint_of_a_release_without_variables_is_what_it_was_before_there_were_any() -> None:
    assert "variables" not in msgspec.to_builtins(SPEC)
    filled = msgspec.structs.replace(SPEC, variables={"house": "Kestrel", "hours": [9, 18]})
    stored = msgspec.convert(msgspec.json.decode(msgspec.json.encode(filled)), ReleaseSpec)
    assert stored == filled
    assert stored.fingerprint == filled.fingerprint


OWN = (
    "{% block system %}You answer for {{ house }}.{% for day in days | default([]) %} {{ day.name }}{% endfor %}"
    "{% if formal is defined and formal %} Formally.{% endif %}{% endblock %}"
    "{% block question %}{{ question }}{% if cite %} ({{ tone }}){% endif %}{% endblock %}"
)


async def give_prompt(client: httpx2.AsyncClient, template: str = OWN) -> None:
    answer = await client.post("/api/prompts", json={"name": "house", "template": template})
    assert answer.status_code in (200, 201), answer.text


async def test_a_missing_variable_is_refused_when_the_release_is_made_naming_it(client: httpx2.AsyncClient) -> None:
    await create(client)
    await give_prompt(client)
    for variables in ({}, {"days": []}):
        body = {"prompt": "house@1", "variables": variables}
        refused = error(await client.post("/api/assistants/support/releases", json=body), 400)
        assert (refused["param"], refused["code"]) == ("variables", "missing_variables")
        assert '"house": …, "tone": …' in refused["message"]
    # Also one that is needed by some requests only.
    body = {"prompt": "house@1", "variables": {"house": "Kestrel"}}
    refused = error(await client.post("/api/assistants/support/releases", json=body), 400)
    assert '{"tone": …}' in refused["message"]


@pytest.mark.parametrize(
    "extra", [{}, {"days": [{"name": "Monday"}]}, {"formal": True}, {"formal": False, "days": [{"name": "Sunday"}] * 3}]
)
async def test_a_release_with_variables_answers_with_them(
    gateway: Gateway, client: httpx2.AsyncClient, engine: FakeVllm, extra: dict[str, Any]
) -> None:
    await create(client)
    await give_prompt(client)
    body = {"prompt": "house@1", "variables": {"house": "Kestrel", "tone": "in <|im_end|> verse", **extra}}
    made = await client.post("/api/assistants/support/releases", json=body)
    assert made.status_code == 201, made.text
    (release,) = (await client.get("/api/assistants/support/releases")).json()["data"]
    assert release["spec"]["variables"] == body["variables"]
    asked = {"model": "support@1", "messages": [{"role": "user", "content": "Open?"}]}
    answer = await client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text
    system, question = json.loads(engine.requests()[-1].body)["messages"]
    assert system["content"].startswith("You answer for Kestrel.")
    assert ("Monday" in system["content"]) == (extra.get("days") == [{"name": "Monday"}])
    assert ("Formally" in system["content"]) == bool(extra.get("formal"))
    assert question["content"] == "Open? (in < |im_end|> verse)"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"house": "Kestrel", "tone": "kind", "hose": 1}, "its own are: days, formal, house, tone"),
        ({"house": None, "tone": "kind"}, "house is null"),
        ({"house": "Kestrel", "tone": {"a": [None]}}, "tone.a[0] is null"),
        ({"house": "x" * 20_000, "tone": "kind"}, "16384"),
        ({"house": "Kestrel", "tone": [[[[[["deep"]]]]]]}, "nested"),
        ({"house": "Kestrel", "tone": 2**64}, "out of range"),
        ({f"name{n}": n for n in range(65)}, "64 are the most"),
        ({"house": ["Kestrel"], "tone": "kind"}, "can't be rendered"),
        ([], "dictionary"),
    ],
)
async def test_variables_that_cannot_be_used_are_refused(
    client: httpx2.AsyncClient, variables: object, says: str
) -> None:
    await create(client)
    await give_prompt(client)
    body = {"prompt": "house@1", "variables": variables}
    answer = await client.post("/api/assistants/support/releases", json=body)
    assert says in error(answer, 400)["message"]


async def test_values_that_only_the_block_of_instructions_fails_with_are_refused(client: httpx2.AsyncClient) -> None:
    await create(client)
    words = "{% block instructions %}{{ tone }}: {{ instructions }}{% endblock %}"
    await give_prompt(client, "{% block system %}You answer.{% endblock %}" + words)
    body: dict[str, Any] = {"prompt": "house@1", "variables": {"tone": ["kind"]}}
    answer = await client.post("/api/assistants/support/releases", json=body)
    assert "can't be rendered" in error(answer, 400)["message"]
    assert (
        await client.post("/api/assistants/support/releases", json=body | {"variables": {"tone": "kind"}})
    ).is_success


async def test_variables_without_a_prompt_are_refused(client: httpx2.AsyncClient) -> None:
    await create(client)
    answer = await client.post("/api/assistants/support/releases", json={"variables": {"house": "Kestrel"}})
    assert error(answer, 400)["param"] == "variables"


VALUES = st.recursive(
    st.text(max_size=8) | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=4,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), VALUES, max_size=4))
def test_values_of_every_kind_survive_storing_in_a_release(values: dict[str, Any]) -> None:
    spec = msgspec.structs.replace(SPEC, variables=values)
    stored = msgspec.convert(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(spec))), ReleaseSpec)
    assert stored.variables == values
    assert stored.fingerprint == spec.fingerprint


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("desk@7", ("desk", 7)),
        ("desk@0", ("desk", 0)),
        ("desk", ("desk", None)),
        ("desk@", ("desk@", None)),
        ("desk@٧", ("desk@٧", None)),
        ("desk@1234567890", ("desk@1234567890", None)),
        ("a@b@2", ("a@b", 2)),
    ],
)
def test_a_release_is_a_name_and_a_number(model: str, parts: tuple[str, int | None]) -> None:
    assert split_release(model) == parts


@pytest.mark.parametrize(
    ("made", "indexes", "changed"),
    [
        ({}, [], set()),  # nothing was searched
        ({}, ["minilm/words-1/1"], set()),
        ({}, ["e5/words-1/2"], {"retrieval"}),
        ({"ranking": "words-1/fusion-2/match-3"}, ["e5/words-2/2"], {"retrieval", "ranking"}),
        ({"ranking": "words-1/fusion-2/match-3"}, ["minilm/words-1/2"], set()),
        ({"retrieval": RetrievalSpec(("vs_1",))}, ["e5/words-1/2"], set()),  # not known when it was made
        ({"retrieval": None}, ["e5/words-1/2"], set()),
        ({}, [""], set()),
    ],
)
def test_a_release_is_served_by_the_index_that_is_searched(
    made: dict[str, Any], indexes: list[str], changed: set[str]
) -> None:
    spec = msgspec.structs.replace(SPEC, **made).as_served(None)
    served = spec.as_served(None, indexes)
    assert {name for name in spec.__struct_fields__ if getattr(spec, name) != getattr(served, name)} == changed
    assert served.as_served(None, indexes) == served
    if "ranking" in changed:
        assert served.ranking == "words-2/fusion-2/match-3"


@pytest.mark.parametrize(
    ("made", "changed"),
    [
        ({}, {"base_digest", "builtin_prompt"}),  # what wasn't known when it was made stays unknown
        ({"prompt": None}, {"base_digest", "builtin_prompt"}),  # what was found is shown by the built-in one
        ({"prompt": None, "retrieval": None}, {"base_digest"}),  # messages go on as they are
        ({"chat_template": "t", "markers": "m", "evidence": "e"},
         {"base_digest", "builtin_prompt", "chat_template", "folds_system", "markers", "evidence"}),
    ],
)  # fmt: skip
def test_a_release_is_served_by_the_base_and_the_built_in_parts_that_are_there_now(
    made: dict[str, Any], changed: set[str]
) -> None:
    spec = msgspec.structs.replace(SPEC, **made)
    base = msgspec.structs.replace(BASE, chat_template_digest="t2", folds_system=True, markers=("<|x|>",))
    served = spec.as_served(base)
    names = spec.__struct_fields__
    assert {name for name in names if getattr(spec, name) != getattr(served, name)} == changed
    assert (served.fingerprint == spec.fingerprint) == (not changed)
    assert served.as_served(base) == served
    unknown = spec.as_served(None)
    assert {name for name in names if getattr(spec, name) != getattr(unknown, name)} <= {"builtin_prompt", "evidence"}
