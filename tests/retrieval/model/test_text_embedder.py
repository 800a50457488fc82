import asyncio
import threading
from array import array
from collections.abc import Sequence

import pytest

from retrieval.errors import RetrieverBusy, TextTooLong
from retrieval.messages import EmbedRequest
from retrieval.priority_threads import Priority, PriorityThreads
from retrieval.question_embedder import QuestionEmbedder
from retrieval.text_embedder import TextEmbedder
from tests.retrieval.words import WordEmbedder
from tests.waiting import until

pytestmark = pytest.mark.model


class NotedEmbedder(WordEmbedder):
    """Notes each batch, and waits before it while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        self.gate.wait(30)
        return [self._embed(text) for text in texts]

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return [self._embed(text) for text in texts]


@pytest.fixture
def embedder() -> NotedEmbedder:
    return NotedEmbedder()


@pytest.fixture
def texts(embedder: NotedEmbedder, threads: PriorityThreads) -> TextEmbedder:
    return TextEmbedder(embedder, threads)


async def test_each_text_has_its_vector_as_32_bit_floats_and_its_tokens(
    texts: TextEmbedder, embedder: NotedEmbedder
) -> None:
    asked = [f"{'kettle ' * number}warranty" for number in range(10)]
    answer = await texts.embed(EmbedRequest(asked))
    assert answer.tokens == [number + 1 for number in range(10)]
    for text, vector in zip(asked, answer.vectors, strict=True):
        assert array("f", vector).tolist() == pytest.approx(embedder.embed_questions([text])[0], abs=1e-6)
    assert [len(batch) for batch in embedder.batches[:3]] == [4, 4, 2]
    assert (await texts.embed(EmbedRequest([]))).vectors == []


async def test_an_embedder_says_how_many_it_takes_at_once(texts: TextEmbedder, embedder: NotedEmbedder) -> None:
    embedder.batch = 64
    await texts.embed(EmbedRequest([f"text {number}" for number in range(100)]))
    assert [len(batch) for batch in embedder.batches] == [64, 36]


async def test_a_text_beyond_the_window_is_refused_by_its_number_and_nothing_is_embedded(
    texts: TextEmbedder, embedder: NotedEmbedder
) -> None:
    fits = "word " * (embedder.window - 2)
    with pytest.raises(TextTooLong, match="input 65 has 255 tokens, and the embedder reads at most 254"):
        await texts.embed(EmbedRequest([fits, f"{fits} more"], 64))
    assert embedder.batches == []
    await texts.embed(EmbedRequest([fits]))


async def test_a_question_goes_before_the_texts_that_wait_and_a_document_has_its_turn(
    texts: TextEmbedder, embedder: NotedEmbedder, threads: PriorityThreads
) -> None:
    embedder.gate.clear()
    requests = [asyncio.create_task(texts.embed(EmbedRequest([f"{name}{n}" for n in range(8)]))) for name in "ab"]
    await until(lambda: len(embedder.batches) == 1)
    document = asyncio.create_task(threads.run(Priority.INGEST, embedder.embed_passages, ["document"]))
    question = asyncio.create_task(QuestionEmbedder(embedder, threads).embed("question"))
    await asyncio.sleep(0.05)
    embedder.gate.set()
    await asyncio.gather(*requests)
    await document
    await question
    first = [batch[0] for batch in embedder.batches]
    assert first[1] == "question"
    assert first[2] == "document"  # of all requests together only one step is in the queue
    assert first[3:] == ["b0", "a4", "b4"]  # in turn


async def test_too_many_requests_are_refused_and_whoever_leaves_makes_room(
    texts: TextEmbedder, embedder: NotedEmbedder
) -> None:
    embedder.gate.clear()
    requests = [asyncio.create_task(texts.embed(EmbedRequest(["x"]))) for _ in range(16)]
    await until(lambda: len(embedder.batches) == 1)
    with pytest.raises(RetrieverBusy, match="16 requests"):
        await texts.embed(EmbedRequest(["x"]))
    requests[-1].cancel()
    await asyncio.gather(requests[-1], return_exceptions=True)
    late = asyncio.create_task(texts.embed(EmbedRequest(["late"])))
    embedder.gate.set()
    await asyncio.gather(*requests[:-1], late)
