"""The contract of an `Embedder`, on the packaged model and on the one of tests that counts words."""

import re

import pytest

pytest.importorskip("sentence_transformers", reason="needs the model environment")

from retrieval.embedder import Embedder, load_embedder
from tests.retrieval.words import WordEmbedder

pytestmark = pytest.mark.model

TEXTS = ["Short.", "A longer text about kettles and their warranty, which needs more padding. " * 4, "水壶价格", ""]


@pytest.fixture(scope="module", params=["words", "packaged"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return WordEmbedder() if request.param == "words" else load_embedder(None)


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_its_identity_can_name_a_folder_and_a_collection(embedder: Embedder) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", embedder.identity)


def test_every_vector_has_the_dimensions_that_it_names(embedder: Embedder) -> None:
    assert [len(vector) for vector in embedder.embed_questions(TEXTS)] == [embedder.dimensions] * len(TEXTS)
    assert [len(vector) for vector in embedder.embed_passages(TEXTS)] == [embedder.dimensions] * len(TEXTS)
    assert embedder.embed_passages([]) == []


def test_a_vector_is_of_length_one(embedder: Embedder) -> None:
    for vector in [*embedder.embed_questions(["How long?"]), *embedder.embed_passages(TEXTS[:3])]:
        assert similarity(vector, vector) == pytest.approx(1, abs=1e-4)


def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder: Embedder) -> None:
    for text, vector in zip(TEXTS, embedder.embed_passages(TEXTS), strict=True):
        assert embedder.embed_passages([text])[0] == pytest.approx(vector, abs=1e-5)
    for text, vector in zip(TEXTS, embedder.embed_questions(TEXTS), strict=True):
        assert embedder.embed_questions([text])[0] == pytest.approx(vector, abs=1e-5)


def test_a_question_is_nearer_to_the_passage_that_answers_it(embedder: Embedder) -> None:
    (question,) = embedder.embed_questions(["For how many days are returns accepted?"])
    right, wrong = embedder.embed_passages(["Returns are accepted for 30 days.", "The ferry leaves at eight."])
    assert similarity(question, right) > similarity(question, wrong) + 0.1


def test_token_offsets_are_where_tokens_start_also_beyond_the_window(embedder: Embedder) -> None:
    text = "Kettle — große Kessel! " * 200
    offsets = embedder.find_token_offsets(text)
    assert len(offsets) > embedder.window
    assert offsets == sorted(offsets)
    assert {"K", "—", "g", "!"} <= {text[offset] for offset in offsets}
    assert not any(text[offset].isspace() for offset in offsets)
    assert text[offsets[0] : offsets[1]].strip() == "Kettle"
    assert embedder.find_token_offsets("") == []
