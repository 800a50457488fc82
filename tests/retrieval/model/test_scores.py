"""A passage's score for a question says the same in a small store and a large one, and with words that say nothing."""

import random
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from retrieval.backends import IndexBackend, Point
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.remote import RemoteBackend
from retrieval.fusion import fuse, fuse_scores
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.visibility import OPEN, show_store

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

TOLERANCE = 0.05
ENCODER = KeywordEncoder()
STORE = show_store("kestrel", "vs")
PASSAGE = "The warranty of the kestrel kettle lasts nineteen months when it is descaled with citric acid every spring"
QUESTION = "kestrel kettle warranty after descaling"
OTHERS = "The price of the model is paid in advance and the warranty of its kettle does not depend on the shop".split()


async def fill(backend: IndexBackend, others: int) -> None:
    source = random.Random(7)
    texts = [PASSAGE] + [f"{' '.join(source.choices(OTHERS, k=40))} item{n}" for n in range(others)]
    for first in range(0, len(texts), 200):
        await backend.upsert(
            [
                Point(
                    str(UUID(int=n + 1)),
                    [0.6, 0.8, 0.0] if n == 0 else [0.0, 0.0, 1.0],
                    ENCODER.encode_passages([text])[0],
                    {"tenant": "kestrel", "store": "vs", "document": "d", "digest": f"d{n}", "from": 1, "to": OPEN},
                )
                for n, text in enumerate(texts[first : first + 200], first)
            ]
        )


async def score(backend: IndexBackend, question: str) -> float:
    keywords = ENCODER.encode_question(question)
    candidates = await backend.search(STORE, STORE, [1.0, 0.0, 0.0], keywords, 20)
    ((best, _),) = fuse(candidates, limit=1, threshold=None)
    return best


@pytest.mark.parametrize("kind", ["embedded", "remote"])
async def test_a_score_does_not_drift_with_the_size_of_a_store(kind: str, tmp_path: Path) -> None:
    client = AsyncQdrantClient(":memory:")
    scores: list[float] = []
    for others in (10, 1_000):
        if kind == "embedded":
            backend: IndexBackend = EmbeddedBackend.open(tmp_path / str(others), 3)
        else:
            backend = await RemoteBackend.open(client, str(others), 3)
        await fill(backend, others)
        scores.append(await score(backend, QUESTION))
        await backend.close()
    await client.close()
    assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
    assert min(scores) > fuse_scores(0.6, 0) + 0.05, "the words count"


@given(padding=st.lists(st.sampled_from("what is the of and to a in for with on it do you".split()), max_size=30))
@settings(max_examples=10)
async def test_a_score_does_not_drift_with_words_that_say_nothing(
    padding: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    backend = EmbeddedBackend.open(tmp_path_factory.mktemp("index") / "shard", 3)
    await fill(backend, 20)
    assert await score(backend, f"{' '.join(padding)} {QUESTION}") == pytest.approx(await score(backend, QUESTION))
    repeated = await score(backend, f"{QUESTION} {' '.join(padding)} {QUESTION}")
    assert repeated == pytest.approx(await score(backend, QUESTION), abs=TOLERANCE)
    await backend.close()
