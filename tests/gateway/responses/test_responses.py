"""`POST /v1/responses` against a scripted engine: the same answer whole and streamed, and what is refused."""

import json
from typing import Any

import httpx2
import pytest

from retrieval.messages import MatchFeatures, Weights
from tests.fakes import faults
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway

URL = "/v1/responses"
REPLY = "It is 31 months [1], they say [9]."
DIFFERING = {"id", "created_at", "completed_at", "call_id", "url"}
FUNCTION = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
async def client(gateway: Gateway, engine: FakeVllm) -> httpx2.AsyncClient:
    engine.reply = lambda _chat: REPLY
    return await gateway.tenant("kestrel")


@pytest.fixture
async def store(client: httpx2.AsyncClient, passages: FakePassages) -> str:
    """A store in which one passage is found."""
    id = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda query: [make_passage(next(iter(query.stores)), 1, "The K2 has a warranty of 31 months.")]
    return id


async def ask(client: httpx2.AsyncClient, engine: FakeVllm, **more: Any) -> httpx2.Response:
    return await client.post(URL, json={"model": engine.model, "input": "How long is the warranty?", **more})


def read_events(text: str) -> list[dict[str, Any]]:
    events = text.split("\n\n")
    assert events.pop() == ""
    return [json.loads(event.partition("\ndata: ")[2]) for event in events]


def without_ids(value: Any) -> Any:
    """Return a response without what differs from one to the next."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if k not in DIFFERING}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


async def test_a_streamed_response_ends_as_the_whole_one(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str
) -> None:
    search = {"type": "file_search", "vector_store_ids": [store], "max_num_results": 2}
    for more in (
        {},
        {"tools": [search], "include": ["file_search_call.results"]},
        {"max_output_tokens": 3},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
        {"text": {"format": {"type": "json_object"}}},
        {"tools": [FUNCTION], "tool_choice": "required"},
        {"tools": [search, FUNCTION]},
    ):
        whole = await ask(client, engine, **more)
        assert whole.status_code == 200, whole.text
        events = read_events((await ask(client, engine, stream=True, **more)).text)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert without_ids(events[-1]["response"]) == without_ids(whole.json()), more
        closed = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert closed == events[-1]["response"]["output"]
        opened = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
        assert opened == [item["id"] for item in closed]
        deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
        texts = [part["text"] for item in closed for part in item.get("content", [])]
        assert "".join(deltas) == "".join(texts)


async def test_a_search_cites_the_files_of_the_stores_that_the_request_names(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    filters = {"type": "eq", "key": "area", "value": "kettles"}
    ranking = {"ranker": "auto", "score_threshold": 0.2}
    tool = {"type": "file_search", "vector_store_ids": [store], "filters": filters, "ranking_options": ranking}
    answer = await ask(client, engine, tools=[tool], include=["file_search_call.results"])
    search, message = answer.json()["output"]
    assert search["queries"] == ["How long is the warranty?"]
    assert [result["text"] for result in search["results"]] == ["The K2 has a warranty of 31 months."]
    (part,) = message["content"]
    (cited,) = part["annotations"]
    assert part["text"] == REPLY
    assert (cited["type"], cited["file_id"], cited["index"]) == ("file_citation", "file-1", REPLY.index("[1]"))
    (query,) = passages.queries
    assert (query.filters, query.score_threshold, query.limit) == (filters, 0.2, 5)
    assert "31 months" in engine.requests()[-1].body.decode()
    record = (await client.get(f"/api/answers/{answer.json()['id']}")).json()
    assert [passage["cited"] for passage in record["passages"]] == [True]


async def test_a_search_that_finds_no_likely_answer_gives_none_and_says_so(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    passages.find = lambda query: [make_passage(store, 1, "Kettles have lids.", match=MatchFeatures(names=1.0))]
    for least, found in ((None, False), (0, True), (0.05, True), (0.1, False)):
        ranking = {} if least is None else {"ranking_options": {"least_probability": least}}
        tool = {"type": "file_search", "vector_store_ids": [store], **ranking}
        answer = await ask(client, engine, tools=[tool], include=["file_search_call.results"])
        search = answer.json()["output"][0]
        assert [result["text"] for result in search["results"]] == (["Kettles have lids."] if found else []), least
        assert answer.json()["braid"]["retrieval"] == ("found" if found else "nothing_likely")
        assert ("Kettles have lids" in engine.requests()[-1].body.decode()) is found


async def test_the_weights_of_a_file_search_are_those_of_its_search(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    for shares in ({"embedding_weight": 0, "text_weight": 2.5}, None):
        ranking = {"ranker": "auto", "score_threshold": 0.5, "hybrid_search": shares}
        tool = {"type": "file_search", "vector_store_ids": [store], "ranking_options": ranking}
        answer = await ask(client, engine, tools=[tool])
        assert answer.status_code == 200, answer.text
        assert answer.json()["tools"][0]["ranking_options"]["hybrid_search"] == shares
        assert passages.queries.pop().weights == (Weights(0, 2.5) if shares else None)


async def test_small_talk_is_searched_for_only_where_the_choice_of_a_tool_asks_for_it(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    tool = {"type": "file_search", "vector_store_ids": [store]}
    answer = await ask(client, engine, input="Thanks a lot!", tools=[tool])
    assert [item["type"] for item in answer.json()["output"]] == ["message"]
    assert answer.json()["braid"]["retrieval"] == "skipped"
    events = read_events((await ask(client, engine, input="Thanks a lot!", tools=[tool], stream=True)).text)
    assert not [event for event in events if "file_search" in event["type"]]
    await ask(client, engine, input="Thanks a lot!", tools=[tool, FUNCTION], tool_choice="required")
    assert passages.queries == []
    for tools, choice in (([tool, FUNCTION], {"type": "file_search"}), ([tool], "required")):
        answer = await ask(client, engine, input="Thanks a lot!", tools=tools, tool_choice=choice)
        assert answer.json()["output"][0]["type"] == "file_search_call", answer.text
        assert passages.queries.pop().text == "Thanks a lot!"


async def test_a_choice_of_no_tool_searches_nothing(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    tool = {"type": "file_search", "vector_store_ids": [store]}
    answer = await ask(client, engine, tools=[tool], tool_choice="none")
    assert [item["type"] for item in answer.json()["output"]] == ["message"]
    assert passages.queries == []


async def test_stores_of_the_request_replace_those_of_a_release(
    client: httpx2.AsyncClient, engine: FakeVllm, store: str, passages: FakePassages
) -> None:
    other = (await client.post("/v1/vector_stores", json={"name": "other"})).json()["id"]
    await client.post("/api/assistants", json={"name": "support"})
    await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [other]}})
    plain = await ask(client, engine, model="support@1")
    assert plain.status_code == 200, plain.text
    assert [item["type"] for item in plain.json()["output"]] == ["message"]
    assert "braid-release" in plain.headers
    named = await ask(client, engine, model="support@1", tools=[{"type": "file_search", "vector_store_ids": [store]}])
    assert [set(query.stores) for query in passages.queries] == [{other}, {store}]
    assert "braid-release" not in named.headers  # another store's answer isn't the release's


async def test_a_chat_key_cannot_name_stores(gateway: Gateway, engine: FakeVllm, store: str) -> None:
    chat = await gateway.tenant("kestrel", scopes=("chat",))
    assert (await ask(chat, engine)).status_code == 200
    answer = await ask(chat, engine, tools=[{"type": "file_search", "vector_store_ids": [store]}])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


async def test_another_tenants_store_does_not_exist(gateway: Gateway, engine: FakeVllm, store: str) -> None:
    other = await gateway.tenant("heron")
    answer = await ask(other, engine, tools=[{"type": "file_search", "vector_store_ids": [store]}])
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"moderation": {"model": "omni"}}, "moderation", "unsupported_parameter"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_tool"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]", None),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "tools[0]", None),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["a"]}] * 2}, "tools[1]", None),
        (
            {"tools": [{"type": "file_search", "vector_store_ids": ["a"], "filters": {"type": "is"}}]},
            "tools[0].filters",
            "invalid_filter",
        ),
        (
            {"tools": [{"type": "file_search", "vector_store_ids": ["a"], "ranking_options": {"hybrid_search": {}}}]},
            "tools[0]",
            None,
        ),
        (
            {
                "tools": [
                    {
                        "type": "file_search",
                        "vector_store_ids": ["a"],
                        "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}},
                    }
                ]
            },
            "tools[0]",
            None,
        ),
        ({"tools": [{**FUNCTION, "name": "no name"}]}, "tools[0].name", None),
        ({"tools": [FUNCTION] * 129}, "tools", None),
        (
            {"tools": [{**FUNCTION, "parameters": {"pattern": "a"}}], "tool_choice": "required"},
            "tools[0].parameters",
            "unsupported_format",
        ),
        ({"tool_choice": "sometimes"}, "tool_choice", None),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type", "unsupported_format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", None),
        ({"input": []}, "input", None),
        ({"input": 1}, "input", None),
        ({"temperature": 3}, "temperature", None),
        ({"max_output_tokens": 0}, "max_output_tokens", None),
    ],
)
async def test_what_cannot_be_done_is_refused(
    client: httpx2.AsyncClient, engine: FakeVllm, more: dict[str, Any], param: str, code: str | None
) -> None:
    answer = await ask(client, engine, **more)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)


async def test_as_many_tools_as_chat_has_may_be_named(client: httpx2.AsyncClient, engine: FakeVllm) -> None:
    engine.max_model_len = 32_768  # their descriptions are in the prompt
    assert (await ask(client, engine, tools=[FUNCTION] * 128)).status_code == 200


async def test_a_cut_stream_ends_with_a_failed_response(client: httpx2.AsyncClient, engine: FakeVllm) -> None:
    engine.script(faults.cut(4))
    events = read_events((await ask(client, engine, stream=True)).text)
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "server_error"
    (message,) = last["response"]["output"]
    assert message["status"] == "incomplete"
    assert REPLY.startswith(message["content"][0]["text"])
    record = (await client.get(f"/api/answers/{last['response']['id']}")).json()
    assert record["outcome"] == "interrupted"


@pytest.mark.parametrize("ended", [b"", b"data: [DONE]\n\n"])
async def test_a_stream_without_a_reason_of_its_end_is_a_failed_response(
    client: httpx2.AsyncClient, engine: FakeVllm, ended: bytes
) -> None:
    said = b'data: {"choices":[{"index":0,"delta":{"content":"It"},"logprobs":null,"finish_reason":null}]}\n\n'
    engine.script(faults.body(said + ended, "text/event-stream"))
    last = read_events((await ask(client, engine, stream=True)).text)[-1]
    assert (last["type"], last["response"]["output"][0]["status"]) == ("response.failed", "incomplete")
    record = (await client.get(f"/api/answers/{last['response']['id']}")).json()
    assert record["outcome"] == "interrupted"


async def test_an_error_before_the_first_byte_is_an_envelope(client: httpx2.AsyncClient, engine: FakeVllm) -> None:
    answer = await ask(client, engine, model="nobody", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
