import asyncio
import base64
import math
from array import array
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.settings import Settings
from tests.fakes.retriever import MOST_WORDS, FakeRetriever, Fault
from tests.gateway.conftest import Gateway

PATH = "/v1/embeddings"


@pytest.fixture
async def retriever(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.retriever_socket) as fake:
        yield fake


@pytest.fixture
async def client(gateway: Gateway, retriever: FakeRetriever) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel", ("chat",))


async def ok(client: httpx2.AsyncClient, **asked: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"model": "default", **asked})
    assert response.status_code == 200, response.text
    return response.json()


async def fault(client: httpx2.AsyncClient, status: int = 400, **asked: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"model": "default", **asked})
    assert response.status_code == status, response.text
    return response.json()["error"]


async def test_each_input_has_its_vector_in_order(client: httpx2.AsyncClient, retriever: FakeRetriever) -> None:
    texts = [" ".join(["kettle"] * (number % 7 + 1)) for number in range(100)]
    answer = await ok(client, input=texts)
    assert (answer["object"], answer["model"]) == ("list", "fake")
    assert [one["index"] for one in answer["data"]] == list(range(100))
    for text, one in zip(texts, answer["data"], strict=True):
        assert one["object"] == "embedding"
        assert one["embedding"][1] / one["embedding"][0] == pytest.approx(len(text.split()) / len(text), abs=1e-6)
    words = sum(len(text.split()) for text in texts)
    assert answer["usage"] == {"prompt_tokens": words, "total_tokens": words}
    assert retriever.calls.count("embed") == 4  # so that none that waits is behind more than 32 texts of one client


async def test_base64_has_the_same_numbers(client: httpx2.AsyncClient) -> None:
    numbers = (await ok(client, input="the kettle"))["data"][0]["embedding"]
    coded = (await ok(client, input="the kettle", encoding_format="base64"))["data"][0]["embedding"]
    assert array("f", base64.b64decode(coded)).tolist() == numbers


@pytest.mark.parametrize("model", ["default", "fake"])
async def test_the_embedder_has_two_names(client: httpx2.AsyncClient, model: str) -> None:
    assert (await ok(client, model=model, input="x"))["model"] == "fake"
    assert "fake" in [one["id"] for one in (await client.get("/v1/models")).json()["data"]]
    assert (await client.get("/v1/models/fake")).json()["owned_by"] == "braid"


async def test_a_retriever_that_hangs_does_not_keep_the_other_models_from_being_listed(
    client: httpx2.AsyncClient, retriever: FakeRetriever
) -> None:
    async def hang() -> None:
        await asyncio.sleep(30)

    retriever.before["describe"] = hang
    async with asyncio.timeout(25):
        assert [one["id"] for one in (await client.get("/v1/models")).json()["data"]] == ["base"]


@pytest.mark.parametrize("model", ["text-embedding-3-small", "base", ""])
async def test_another_model_is_not_answered_by_ours(client: httpx2.AsyncClient, model: str) -> None:
    error = await fault(client, 404, model=model, input="x")
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'fake'" in error["message"]


async def test_vectors_are_cut_only_where_the_model_says_they_can_be(
    client: httpx2.AsyncClient, retriever: FakeRetriever
) -> None:
    whole = (await ok(client, input="the kettle", dimensions=3))["data"][0]["embedding"]
    error = await fault(client, input="the kettle", dimensions=2)
    assert (error["code"], error["param"]) == ("dimensions_unsupported", "dimensions")
    retriever.matryoshka = True
    cut = (await ok(client, input="the kettle", dimensions=2))["data"][0]["embedding"]
    assert math.hypot(*cut) == pytest.approx(1, abs=1e-6)
    assert cut[1] / cut[0] == pytest.approx(whole[1] / whole[0], abs=1e-6)
    error = await fault(client, input="the kettle", dimensions=4)
    assert "3 dimensions at most" in error["message"]


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["text", 7]])
async def test_tokens_are_refused_with_the_reason(client: httpx2.AsyncClient, tokens: list[Any]) -> None:
    error = await fault(client, input=tokens)
    assert (error["code"], error["param"]) == ("tokens_unsupported", "input")
    assert "tokenizer" in error["message"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"input": ""},
        {"input": []},
        {"input": ["x", " "]},
        {"input": [None]},
        {"input": ["x"] * 2049},
        {"input": "x", "encoding_format": "int8"},
        {"input": "x", "dimensions": 0},
        {"input": "x", "dimension": 3},
    ],
)
async def test_what_cannot_be_embedded_is_refused(client: httpx2.AsyncClient, asked: dict[str, Any]) -> None:
    assert (await fault(client, **asked))["message"]


async def test_a_byte_order_mark_and_nulls_say_nothing(client: httpx2.AsyncClient) -> None:
    body = b'\xef\xbb\xbf{"model": "default", "input": "x", "encoding_format": null, "dimensions": null, "user": null}'
    assert (await client.post(PATH, content=body)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model": "default", "input": "\\ud800"}', b"\xff"])
async def test_what_is_no_json_is_refused(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await client.post(PATH, content=body)
    assert response.status_code == 400, response.text


async def test_a_text_that_is_too_long_is_refused_by_its_number(client: httpx2.AsyncClient) -> None:
    error = await fault(client, input=[*["x"] * 40, "x " * (MOST_WORDS + 1)])
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert "input 40 has 101 tokens" in error["message"]


@pytest.mark.parametrize("code", ["retriever_busy", "retriever_failed"])
async def test_a_retriever_that_cannot_answer_now_is_told(
    client: httpx2.AsyncClient, retriever: FakeRetriever, code: str
) -> None:
    async def refuse() -> None:
        raise Fault(code, "It can't.")

    retriever.before["embed"] = refuse
    error = await fault(client, 503, input="x")
    assert error["code"] == ("retriever_busy" if code == "retriever_busy" else "retriever_unavailable")
    await retriever.stop()
    assert (await fault(client, 503, input="x"))["code"] == "retriever_unavailable"
    assert (await client.get("/v1/models")).status_code == 200


async def test_it_takes_a_key(gateway: Gateway, retriever: FakeRetriever) -> None:
    admin_only = await gateway.tenant("harbor", ("manage",))
    response = await admin_only.post(PATH, json={"model": "default", "input": "x"})
    assert response.status_code in (200, 403)
    async with httpx2.AsyncClient(base_url=gateway.url) as stranger:
        assert (await stranger.post(PATH, content=b"no JSON")).status_code == 401
