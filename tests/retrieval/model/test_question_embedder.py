import asyncio
import threading
from collections.abc import Sequence

import pytest

from retrieval.priority_threads import Priority, PriorityThreads
from retrieval.question_embedder import QuestionEmbedder
from tests.retrieval.words import WordEmbedder
from tests.waiting import until

pytestmark = pytest.mark.model


class NotedEmbedder(WordEmbedder):
    """Keeps the batches of questions, and waits before each while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.tokenised = 0

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        self.gate.wait(30)
        if "bad" in texts:
            raise ValueError("a bad question")
        return super().embed_questions(texts)

    def find_token_offsets(self, text: str) -> list[int]:
        self.tokenised += len(text)
        return super().find_token_offsets(text)


class PairEmbedder(NotedEmbedder):
    concurrency = 2


@pytest.fixture
def embedder() -> NotedEmbedder:
    return NotedEmbedder()


@pytest.fixture
def questions(embedder: NotedEmbedder, threads: PriorityThreads) -> QuestionEmbedder:
    return QuestionEmbedder(embedder, threads)


async def ask_while_one_is_embedded(
    embedder: NotedEmbedder, questions: QuestionEmbedder, texts: Sequence[str]
) -> list[asyncio.Task[list[float]]]:
    """Begin a first question, and hand in the others while it is in the embedder."""
    embedder.gate.clear()
    tasks = [asyncio.create_task(questions.embed("first"))]
    await until(lambda: len(embedder.batches) == 1)
    tasks += [asyncio.create_task(questions.embed(text)) for text in texts]
    await asyncio.sleep(0)
    return tasks


async def test_questions_that_wait_share_the_next_turns(embedder: NotedEmbedder, questions: QuestionEmbedder) -> None:
    texts = [f"question {n}" for n in range(20)]
    tasks = await ask_while_one_is_embedded(embedder, questions, texts)
    embedder.gate.set()
    vectors = await asyncio.gather(*tasks)
    assert [len(batch) for batch in embedder.batches] == [1, 16, 4]
    assert vectors[1:] == WordEmbedder().embed_questions(texts), "each has its own"
    assert await questions.embed("later") == WordEmbedder().embed_questions(["later"])[0]


async def test_what_one_turn_does_not_take_is_embedded_beside_it() -> None:
    embedder, threads = PairEmbedder(), PriorityThreads("pair", threads=2)
    questions = QuestionEmbedder(embedder, threads)
    tasks = await ask_while_one_is_embedded(embedder, questions, [f"question {n}" for n in range(15)])
    assert questions.waiting == 15, "they are one turn, which costs less than two"
    tasks.append(asyncio.create_task(questions.embed("the sixteenth")))
    await until(lambda: [len(batch) for batch in embedder.batches] == [1, 16])
    embedder.gate.set()
    assert len(await asyncio.gather(*tasks)) == 17
    await threads.close()


async def test_a_question_that_nobody_waits_for_is_not_embedded(
    embedder: NotedEmbedder, questions: QuestionEmbedder
) -> None:
    tasks = await ask_while_one_is_embedded(embedder, questions, ["left", "stays"])
    tasks[1].cancel()
    await asyncio.sleep(0)
    embedder.gate.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert embedder.batches == [["first"], ["stays"]]


async def test_a_question_that_fails_fails_alone(embedder: NotedEmbedder, questions: QuestionEmbedder) -> None:
    tasks = await ask_while_one_is_embedded(embedder, questions, ["one", "bad", "two"])
    embedder.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [list, list, ValueError, list]


async def test_documents_go_on_while_clients_ask_without_a_pause(
    embedder: NotedEmbedder, questions: QuestionEmbedder, threads: PriorityThreads
) -> None:
    stop = asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            await questions.embed("again")

    clients = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(20):
        before = len(embedder.batches)
        await threads.run(Priority.INGEST, embedder.embed_passages, [f"chunk {number}"])
        # Those of the questions, and one of the chunk itself.
        assert len(embedder.batches) - before <= 12
    stop.set()
    await asyncio.gather(*clients)


async def test_a_long_question_is_cut_to_its_ends_before_it_is_tokenised(
    embedder: NotedEmbedder, questions: QuestionEmbedder
) -> None:
    long = "How long is the warranty? " + "noise " * 2_000_000 + "It is about the kettle."
    text = await questions.cut(long)
    assert embedder.tokenised <= embedder.window * 16 + 1
    assert len(WordEmbedder().find_token_offsets(text)) <= embedder.window
    assert text.startswith("How long is the warranty?")
    assert text.endswith("It is about the kettle.")


@pytest.mark.parametrize("text", ["", "short", "word " * 200])
async def test_a_question_that_the_embedder_reads_whole_stays_as_it_is(questions: QuestionEmbedder, text: str) -> None:
    assert await questions.cut(text) == text
