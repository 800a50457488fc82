"""Answers of assistants: prompt, passages, citations, rollouts, records."""

import asyncio
import json
from collections import Counter
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy import text

from gateway.answers.log import AnswerLog
from retrieval.answer_probability import estimate_generally
from retrieval.messages import FULL_MATCH, MatchFeatures
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import TOKENIZE, FakeVllm
from tests.gateway.conftest import Gateway
from tests.waiting import until

CHAT = "/v1/chat/completions"
TEMPLATE = """{% block system %}You answer for Kestrel.{% endblock %}
{% block evidence %}{% for p in passages %}[{{ p.number }}] {{ p.title }}: {{ p.text }}
{% endfor %}{% endblock %}
{% block question %}Question: {{ question }}{% endblock %}"""


class Assistant:
    """A tenant's client with a store, a prompt and an assistant called `support`."""

    def __init__(self, client: httpx2.AsyncClient, store: str) -> None:
        self.client = client
        self.store = store

    async def release(self, **spec: Any) -> dict[str, Any]:
        body = {"prompt": "house@1", "retrieval": {"vector_stores": [self.store], "top_k": 3}, **spec}
        answer = await self.client.post("/api/assistants/support/releases", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def promote(self, *stages: tuple[int, int], revision: int) -> httpx2.Response:
        body = {"stages": [{"release": number, "weight": weight} for number, weight in stages], "revision": revision}
        return await self.client.put("/api/assistants/support/rollout", json=body)

    async def ask(self, text: str = "How long is the warranty?", **more: Any) -> httpx2.Response:
        body = {"model": "support", "messages": [{"role": "user", "content": text}], **more}
        return await self.client.post(CHAT, json=body)


@pytest.fixture
async def support(gateway: Gateway, passages: FakePassages) -> Assistant:
    client = await gateway.tenant("kestrel")
    # The passages' documents are in the fake only, as if they were deleted.
    await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    answer = await client.post("/api/prompts", json={"name": "house", "template": TEMPLATE})
    assert answer.status_code == 201, answer.text
    await client.post("/api/assistants", json={"name": "support"})
    passages.find = lambda query: [
        make_passage(next(iter(query.stores)), 1, "The K2 has a warranty of 31 months."),
        make_passage(next(iter(query.stores)), 2, "The K2 Pro has a warranty of 42 months."),
    ]
    assistant = Assistant(client, store)
    await assistant.release()
    assert (await assistant.promote((1, 100), revision=0)).status_code == 200
    return assistant


async def test_the_engine_gets_prompt_passages_and_question_in_their_order(
    support: Assistant, engine: FakeVllm
) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "How long is the warranty?"},
    ]
    answer = await support.client.post(CHAT, json={"model": "support", "messages": messages})
    assert answer.status_code == 200, answer.text
    sent = json.loads(engine.requests()[-1].body)["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[0]["content"].startswith("You answer for Kestrel.")
    assert "Be brief." in sent[0]["content"]
    last = sent[-1]["content"]
    assert last.index("31 months") < last.index("42 months") < last.index("Question: How long")


@pytest.mark.parametrize("stream", [True, False])
async def test_citations_point_at_the_passage_and_other_numbers_are_text(
    support: Assistant, engine: FakeVllm, stream: bool
) -> None:
    engine.reply = lambda _chat: "It is 31 months [1], they say [9]."
    answer = await support.ask(stream=stream)
    if stream:
        events = [json.loads(e.removeprefix("data: ")) for e in answer.text.strip().split("\n\n")[:-1]]
        text = "".join(c["delta"].get("content") or "" for event in events for c in event["choices"])
        last = events[-1]
        annotations, braid = last["choices"][0]["delta"]["annotations"], last["braid"]
    else:
        message = answer.json()["choices"][0]["message"]
        text, annotations, braid = message["content"], message["annotations"], answer.json()["braid"]
    assert text == "It is 31 months [1], they say [9]."
    (cited,) = [annotation["url_citation"] for annotation in annotations]
    assert text[cited["start_index"] : cited["end_index"]] == "[1]"
    assert cited["title"] == "1.md"
    assert [source["document_id"] for source in braid["citations"]] == ["doc_1"]
    assert braid["citations"][0]["url"] == cited["url"]
    source = await support.client.get(cited["url"])
    assert source.json()["text"] == "The K2 has a warranty of 31 months."


async def test_a_heading_is_said_once_as_the_title_of_its_passage(
    support: Assistant, engine: FakeVllm, passages: FakePassages
) -> None:
    text = "## Warranty\n\nIt lasts 31 months."
    places = {"heading": "K2 > Warranty", "headline": len("## Warranty\n\n"), "start": 40, "end": 40 + len(text)}
    passages.find = lambda _query: [make_passage(support.store, 1, text, **places)]
    engine.reply = lambda _chat: "It is 31 months [1]."
    answer = await support.ask()
    prompt = json.loads(engine.requests()[-1].body)["messages"][-1]["content"]
    assert "[1] K2 > Warranty: It lasts 31 months." in prompt
    source = (await support.client.get(answer.json()["braid"]["citations"][0]["url"])).json()
    assert (source["heading"], source["text"]) == ("K2 > Warranty", "It lasts 31 months.")
    assert (source["start"], source["end"]) == (53, 72)
    found = await support.client.post(f"/v1/vector_stores/{support.store}/search", json={"query": "warranty"})
    assert found.json()["data"][0]["content"][0]["text"] == text, "OpenAI's search shows no title that says it"


@pytest.mark.parametrize("stream", [True, False])
async def test_where_nothing_was_found_no_mark_reaches_the_client(
    support: Assistant, engine: FakeVllm, passages: FakePassages, stream: bool
) -> None:
    passages.find = lambda _query: []
    engine.reply = lambda _chat: "It is 31 months [1], or x[0]."
    answer = await support.ask(stream=stream)
    assert stream or "x[0]" in answer.json()["choices"][0]["message"]["content"]
    assert "[1]" not in answer.text


async def test_the_answer_says_which_release_and_index_epochs_it_came_from(support: Assistant) -> None:
    answer = await support.ask()
    body = answer.json()
    fingerprint = body["system_fingerprint"]
    assert fingerprint.startswith("rel_")
    assert answer.headers["braid-release"] == f"support@1; {fingerprint}"
    assert body["model"] == "support"
    assert body["braid"]["index_epochs"] == {support.store: 0}

    async def read_record() -> dict[str, Any]:
        return (await support.client.get(f"/api/answers/{body['id']}")).json()

    async def is_counted() -> bool:
        return (await read_record())["counts"] == "known"

    await until(is_counted)
    record = await read_record()
    assert record["release"] == "support@1"
    assert record["index_epochs"] == body["braid"]["index_epochs"]
    assert [p["score"] for p in record["passages"]] == [0.9, 0.8]
    assert record["prompt_tokens"]["passage"] > 0
    assert record["usage"] == body["usage"]
    assert record["replica"] == "engine 1"
    assert record["timings"]["total"] >= record["timings"]["first_byte"] >= record["timings"]["composed"]


async def test_asking_a_store_postpones_its_expiry(gateway: Gateway, support: Assistant) -> None:
    async with gateway.state.database.begin() as session:
        await session.execute(text("UPDATE vector_stores SET last_active_at = 1"))
    await support.ask()
    await cast(AnswerLog, gateway.state.parts[AnswerLog]).flush()
    store = (await support.client.get(f"/v1/vector_stores/{support.store}")).json()
    assert store["last_active_at"] > 1


async def test_nothing_found_is_an_answer_too(support: Assistant, passages: FakePassages, engine: FakeVllm) -> None:
    passages.find = lambda _query: []
    answer = await support.ask()
    assert answer.json()["braid"]["retrieval"] == "nothing_found"
    assert "No passage was found" in json.loads(engine.requests()[-1].body)["messages"][-1]["content"]


async def test_passages_that_hardly_answer_are_not_given_to_the_model(
    support: Assistant, passages: FakePassages, engine: FakeVllm
) -> None:
    await support.release(retrieval={"vector_stores": [support.store], "least_probability": 0})
    for match, model, status in (
        (MatchFeatures(), "support@1", "nothing_likely"),
        (FULL_MATCH, "support@1", "found"),
        (MatchFeatures(), "support@2", "found"),
    ):
        passages.find = lambda _query, match=match: [
            make_passage(support.store, 1, "Kettles have lids.", match=match),
            make_passage(support.store, 2, "Lids are round.", match=MatchFeatures()),
        ]
        answer = await support.ask(model=model)
        assert answer.json()["braid"]["retrieval"] == status
        record = (await support.client.get(f"/api/answers/{answer.json()['id']}")).json()
        assert record["answer_probability"] == pytest.approx(estimate_generally([match]), abs=1e-4)
        assert record["calibrations"] == {}
        prompt = json.loads(engine.requests()[-1].body)["messages"][-1]["content"]
        assert ("Kettles have lids." in prompt) is (status == "found")
        assert ("No passage was found" in prompt) is (status == "nothing_likely")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"collapse_duplicates": False}, "nothing_likely"),
        ({"max_per_document": 1}, "found"),
        ({}, "found"),
        ({"boosts": [{"attribute": "area", "value": "lids", "weight": 1}]}, "found"),
        ({"max_per_document": 1, "boosts": [{"attribute": "area", "value": "tea", "weight": 1}]}, "nothing_likely"),
    ],
)
async def test_the_passages_that_are_shown_are_those_that_are_judged(
    options: dict[str, Any], status: str, support: Assistant, passages: FakePassages
) -> None:
    await support.release(retrieval={"vector_stores": [support.store], "top_k": 2, **options})
    passages.find = lambda _query: [
        make_passage(support.store, 1, "Tea.", match=MatchFeatures(), document="doc_1", heading="", score=0.7),
        make_passage(support.store, 2, "Tea.", match=MatchFeatures(), document="doc_1", heading="", score=0.7),
        make_passage(support.store, 3, "Lids are round.", score=0.6, attributes={"area": "lids"}),
        make_passage(support.store, 4, "Pots.", match=MatchFeatures(), score=0.5, attributes={"area": "tea"}),
    ]
    answer = await support.ask(model="support@2")
    assert answer.json()["braid"]["retrieval"] == status
    record = (await support.client.get(f"/api/answers/{answer.json()['id']}")).json()
    shown = FULL_MATCH if status == "found" else MatchFeatures()
    assert record["answer_probability"] == pytest.approx(estimate_generally([shown]), abs=1e-4)


@pytest.mark.parametrize(
    ("asks", "reranked", "rerank"), [(True, True, "done"), (True, False, "failed"), (False, False, "off")]
)
async def test_the_record_says_whether_the_passages_were_reranked(
    asks: bool, reranked: bool, rerank: str, support: Assistant, passages: FakePassages, gateway: Gateway
) -> None:
    await support.release(retrieval={"vector_stores": [support.store], "rerank": asks})
    passages.find = lambda query: [make_passage(support.store, 1, "Lids are round.", reranked=reranked)]
    answer = await support.ask(model="support@2")
    assert passages.queries[-1].rerank is asks
    record = (await support.client.get(f"/api/answers/{answer.json()['id']}")).json()
    assert record["rerank"] == rerank


async def test_required_retrieval_that_fails_is_a_503_and_degraded_is_said(
    support: Assistant, passages: FakePassages
) -> None:
    await support.release(retrieval={"vector_stores": [support.store], "mode": "degrade"})
    passages.failing = True
    required, degraded = await support.ask(model="support@1"), await support.ask(model="support@2")
    assert required.status_code == 503
    assert required.json()["error"]["code"] == "retrieval_unavailable"
    assert degraded.status_code == 200
    assert degraded.json()["braid"]["retrieval"] == "unavailable"


async def test_with_a_prescribed_form_the_citations_are_the_passages_used(support: Assistant, engine: FakeVllm) -> None:
    engine.reply = lambda _chat: '{"months": [31]}'
    answer = await support.ask(response_format={"type": "json_object"})
    message = answer.json()["choices"][0]["message"]
    assert message["content"] == '{"months": [31]}'
    assert message["annotations"] == []
    assert [source["number"] for source in answer.json()["braid"]["citations"]] == [1, 2]


async def test_passages_and_old_turns_are_dropped_and_reported(
    support: Assistant, passages: FakePassages, engine: FakeVllm
) -> None:
    long = "word " * 700
    passages.find = lambda query: [make_passage(support.store, n, f"{n} {long}") for n in (1, 2, 3)]
    history = [{"role": role, "content": long} for _ in range(4) for role in ("user", "assistant")]
    messages = [*history, {"role": "user", "content": "How long is the warranty?"}]
    answer = await support.client.post(CHAT, json={"model": "support", "messages": messages, "max_tokens": 50})
    assert answer.status_code == 200, answer.text
    dropped = answer.json()["braid"]["dropped"]
    assert dropped["turns"] + dropped["passages"] > 0
    assert answer.json()["usage"]["prompt_tokens"] <= engine.max_model_len - 50


async def test_turns_make_room_for_the_descriptions_of_tools(support: Assistant, engine: FakeVllm) -> None:
    properties = {f"field_{n}": {"type": "string", "description": f"The field {n} of it."} for n in range(60)}
    function = {"name": "look_up", "parameters": {"type": "object", "properties": properties}}
    turns = [{"role": "user", "content": f"turn {number} {'word ' * 50}"} for number in range(100)]
    body = {"model": "support", "messages": turns, "tools": [{"type": "function", "function": function}]}
    answer = await support.client.post(CHAT, json={**body, "max_tokens": 50, "tool_choice": "auto"})
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["braid"]["dropped"]["turns"] < 100
    assert engine.max_model_len / 2 < answer.json()["usage"]["prompt_tokens"] <= engine.max_model_len - 50


async def test_a_conversation_of_thousands_of_turns_costs_a_few_counts(support: Assistant, engine: FakeVllm) -> None:
    turns = [{"role": "user", "content": f"turn {number} {'x' * 20}"} for number in range(2_000)]
    before = len(engine.requests(TOKENIZE))
    answer = await support.client.post(CHAT, json={"model": "support", "messages": turns})
    assert answer.status_code == 200, answer.text
    assert answer.json()["braid"]["dropped"]["turns"] > 1_000
    assert answer.json()["usage"]["prompt_tokens"] <= engine.max_model_len
    assert 8 < len(engine.requests(TOKENIZE)) - before <= 60


async def test_a_question_that_cannot_fit_is_a_400(support: Assistant) -> None:
    answer = await support.ask("word " * 6000)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_switches_give_the_other_arms(support: Assistant, engine: FakeVllm) -> None:
    await support.client.post("/api/prompts", json={"name": "other", "template": "Another voice."})
    answer = await support.ask(braid={"retrieval": False, "prompt": "other@1"})
    sent = json.loads(engine.requests()[-1].body)["messages"]
    assert sent[0]["content"] == "Another voice."
    assert "31 months" not in sent[-1]["content"]
    assert answer.json()["system_fingerprint"] is None


async def test_another_tenant_does_not_see_the_assistant_nor_its_parts(gateway: Gateway, support: Assistant) -> None:
    harbor = await gateway.tenant("harbor")
    answer_id = (await support.ask()).json()["id"]
    await harbor.post("/api/assistants", json={"name": "mine"})
    tries = {
        "chat": harbor.post(CHAT, json={"model": "support", "messages": [{"role": "user", "content": "Hi"}]}),
        "pinned": harbor.post(CHAT, json={"model": "support@1", "messages": [{"role": "user", "content": "Hi"}]}),
        "model": harbor.get("/v1/models/support"),
        "assistant": harbor.get("/api/assistants/support"),
        "releases": harbor.get("/api/assistants/support/releases"),
        "rollout": harbor.get("/api/assistants/support/rollout"),
        "promote": harbor.put(
            "/api/assistants/support/rollout", json={"stages": [{"release": 1, "weight": 1}], "revision": 1}
        ),
        "rollback": harbor.post("/api/assistants/support/rollback", json={"revision": 1}),
        "prompt": harbor.get("/api/prompts/house@1"),
        "answer": harbor.get(f"/api/answers/{answer_id}"),
        "citation": harbor.get(f"/api/answers/{answer_id}/citations/1"),
        "store": harbor.post(
            "/api/assistants/mine/releases", json={"retrieval": {"vector_stores": [support.store]}}
        ),
        "foreign prompt": harbor.post("/api/assistants/mine/releases", json={"prompt": "house@1"}),
    }  # fmt: skip
    got = {name: (await request).status_code for name, request in tries.items()}
    assert got == dict.fromkeys(tries, 404)


async def test_two_promotions_of_one_revision_one_wins(support: Assistant) -> None:
    await support.release()
    answers = await asyncio.gather(*(support.promote((2, 100), revision=1) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (await support.ask()).headers["braid-release"].startswith("support@2;")


async def test_roll_back_returns_to_the_rollout_before_and_further(support: Assistant) -> None:
    client = support.client
    for number in (2, 3):
        await support.release(sampling={"temperature": number / 10})
        assert (await support.promote((number, 100), revision=number - 1)).status_code == 200
    seen: list[str] = []
    for revision in (3, 4):
        back = await client.post("/api/assistants/support/rollback", json={"revision": revision})
        assert back.status_code == 200, back.text
        seen.append((await support.ask()).headers["braid-release"].split(";")[0])
    assert seen == ["support@2", "support@1"]
    assert (await client.post("/api/assistants/support/rollback", json={"revision": 5})).status_code == 409


async def test_a_conversation_keeps_its_release_and_the_shares_are_kept(support: Assistant) -> None:
    await support.release(sampling={"temperature": 0.5})
    await support.promote((1, 50), (2, 50), revision=1)

    async def release_of(**more: Any) -> str:
        return (await support.ask(**more)).headers["braid-release"].split(";")[0]

    sticky = {await release_of(prompt_cache_key="conversation 7") for _ in range(6)}
    by_id = {await release_of(metadata={"conversation_id": "9"}) for _ in range(6)}
    assert len(sticky) == len(by_id) == 1
    shares = Counter([await release_of(prompt_cache_key=f"c{n}") for n in range(60)])
    assert 15 <= shares["support@1"] <= 45


async def test_the_same_parts_give_the_same_fingerprint_and_a_change_another(support: Assistant) -> None:
    same, changed = await support.release(), await support.release(sampling={"temperature": 0.1})
    first = (await support.client.get("/api/assistants/support/releases")).json()["data"][0]
    assert same["fingerprint"] == first["fingerprint"] != changed["fingerprint"]


@pytest.mark.parametrize(
    "spec",
    [
        {"adapter": "ft:base:kestrel:none:00000000"},
        {"prompt": "none@1"},
        {"retrieval": {"vector_stores": ["vs_none"]}},
        {"base_model": "other"},
        {"sampling": {"temperature": 9}},
        {"colour": "red"},
    ],
)
async def test_a_release_of_parts_that_do_not_exist_is_refused(support: Assistant, spec: dict[str, Any]) -> None:
    answer = await support.client.post("/api/assistants/support/releases", json=spec)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"]


async def test_a_template_that_cannot_be_compiled_is_a_400_with_its_line(support: Assistant) -> None:
    template = "Fine so far.\n{% for x in y %}"
    answer = await support.client.post("/api/prompts", json={"name": "bad", "template": template})
    assert answer.status_code == 400
    assert "line" in answer.json()["error"]["message"]


async def test_models_lists_what_can_be_asked(support: Assistant) -> None:
    models = (await support.client.get("/v1/models")).json()["data"]
    assert {model["id"] for model in models} == {"base", "fake", "support"}, "fake is the embedder"
    assert (await support.client.get("/v1/models/support")).json()["owned_by"] == "kestrel"
