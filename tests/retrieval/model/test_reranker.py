"""The best passages may be read again, by a cross-encoder or a service; where that fails they stay as they were."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.embedder import find_packaged_model
from retrieval.index import Index
from retrieval.reranker import Reranker, RerankerMissing, RerankFailed, RerankService, load_reranker
from tests.retrieval.requests import ingest_request, search_query
from tests.retrieval.words import WordEmbedder

pytestmark = pytest.mark.model

QUESTION = "How long is the warranty?"
TEXTS = ["The warranty of the kettle is long: 31 months.", "A lid is not covered by the warranty.", "The ferry leaves."]


@asynccontextmanager
async def serve(
    answer: Callable[[dict[str, Any]], bytes], status: str = "200 OK"
) -> AsyncGenerator[tuple[str, list[str]]]:
    """Serve `/rerank` by a function of the request's body; give its URL, and the head of each request."""
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        body = answer(json.loads(await reader.readexactly(length)))
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/rerank", heads


def score_by_length(body: dict[str, Any]) -> bytes:
    """Give the longest document the lowest score, in another order than they came in."""
    results = [{"index": n, "relevance_score": 1 / len(text)} for n, text in enumerate(body["documents"])]
    return json.dumps({"id": "x", "results": results[::-1]}).encode()


async def test_a_service_is_asked_as_coheres_is() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> bytes:
        bodies.append(body)
        return score_by_length(body)

    async with serve(answer) as (url, heads):
        service = await load_reranker(url, "reranker-1", "secret")
        assert await service.score(QUESTION, TEXTS) == [1 / len(text) for text in TEXTS]
        await service.close()
    assert bodies == [{"model": "reranker-1", "query": QUESTION, "documents": TEXTS, "top_n": 3}]
    assert "authorization: bearer secret" in heads[0].lower()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{}", "200 OK", "something else"),
        (b"<html>", "200 OK", "something else"),
        (b'{"results": [{"index": 0, "relevance_score": 1}]}', "200 OK", "scored 1 of 3"),
        (b'{"results": [{"index": 7, "relevance_score": 1}]}', "200 OK", "scored 1 of 3"),
        (b" " * 1024**2 + b"{}", "200 OK", "more than"),
        (b"{}", "503 No", "answered with 503"),
        (b"{}", "302 Found\r\nlocation: http://127.0.0.1:1/", "answered with 302"),
    ],
)
async def test_an_answer_without_scores_is_a_failure(body: bytes, status: str, words: str) -> None:
    async with serve(lambda _body: body, status) as (url, _):
        service = RerankService(url)
        with pytest.raises(RerankFailed, match=words):
            await service.score(QUESTION, TEXTS)
        await service.close()
    service = RerankService("http://127.0.0.1:1/rerank")
    with pytest.raises(RerankFailed, match="can't be asked"):
        await service.score(QUESTION, TEXTS)
    await service.close()


async def test_a_key_is_not_sent_in_the_clear() -> None:
    with pytest.raises(RerankerMissing, match="in the clear"):
        await load_reranker("http://rerank.example/v1/rerank", api_key="secret")


def make_cross_encoder(folder: Path, labels: int) -> str:
    packaged = find_packaged_model()
    assert packaged is not None
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(packaged)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config.num_labels = labels
    config.initializer_range = 1.0  # with small weights all texts have about the same score
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


async def test_a_cross_encoder_scores_between_0_and_1(tmp_path: Path) -> None:
    reranker = await load_reranker(make_cross_encoder(tmp_path / "one", 1))
    scores = await reranker.score(QUESTION, TEXTS)
    assert len(set(scores)) == 3
    assert all(0 < score < 1 for score in scores)
    assert (await reranker.score(QUESTION, TEXTS[::-1]))[::-1] == pytest.approx(scores, abs=1e-5)
    await reranker.close()
    with pytest.raises(RerankerMissing, match="2 scores per passage"):
        await load_reranker(make_cross_encoder(tmp_path / "two", 2))
    with pytest.raises(RerankerMissing, match="can't be loaded"):
        await load_reranker(str(tmp_path))


class Scripted:
    """A reranker that likes short texts, fails, or never answers."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.texts: list[str] = []

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        self.texts = list(texts)
        if self.failure == "hangs":
            await asyncio.sleep(3600)
        if self.failure:
            raise RerankFailed(self.failure)
        return [1 / len(text) for text in texts]

    async def close(self) -> None: ...


@asynccontextmanager
async def open_index(folder: Path, reranker: Reranker) -> AsyncGenerator[Index]:
    embedder = WordEmbedder()
    index = Index(EmbeddedBackend.open(folder / "shard", embedder.dimensions), embedder, reranker)
    for number, text in enumerate(TEXTS):
        path = folder / f"{number}.md"
        path.write_text(text)
        fields = {"document": f"doc_{number}", "path": str(path), "filename": path.name, "index_epoch": number + 1}
        await index.ingest(ingest_request(**fields), _ignore)
    yield index
    await index.close()


async def _ignore(_progress: object) -> None: ...


async def test_a_search_is_reranked_only_where_it_asks(tmp_path: Path) -> None:
    reranker = Scripted()
    async with open_index(tmp_path, reranker) as index:
        plain = await index.search(search_query(stores={"vs": 3}))
        assert (reranker.texts, any(passage.reranked for passage in plain)) == ([], False)
        ranked = await index.search(search_query(stores={"vs": 3}, rerank=True, limit=2))
        assert [passage.text for passage in ranked] == sorted(TEXTS, key=len)[:2]
        assert [passage.score for passage in ranked] == sorted((1 / len(text) for text in TEXTS), reverse=True)[:2]
        assert all(passage.reranked for passage in ranked)
        assert sorted(reranker.texts) == sorted(TEXTS), "it sees more than are returned"
        assert await index.search(search_query(stores={"vs": 3}, rerank=True, score_threshold=1.0)) == []


@pytest.mark.parametrize("failure", ["hangs", "no scores"])
async def test_a_reranker_that_fails_leaves_the_order_of_the_search(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.reranker._SECONDS", 0.05)
    async with open_index(tmp_path, Scripted(failure)) as index:
        plain = await index.search(search_query(stores={"vs": 3}, limit=2))
        assert await index.search(search_query(stores={"vs": 3}, limit=2, rerank=True)) == plain
