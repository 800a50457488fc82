from pathlib import Path

import pytest

from retrieval.embedder import EmbedderMissing, SentenceEmbedder, load_embedder, packaged_model

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def packaged() -> SentenceEmbedder:
    return load_embedder(None)


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_packaged_model_tells_meanings_apart(packaged: SentenceEmbedder) -> None:
    question = packaged.question("How long may I send the kettle back?")
    right, wrong = packaged.passages(["Returns are accepted for 30 days.", "The ferry leaves at eight."])
    assert len(right) == packaged.dimensions == 384
    assert similarity(question, right) > similarity(question, wrong) + 0.1
    assert similarity(right, right) == pytest.approx(1, abs=1e-4)


def test_a_text_has_the_same_vector_alone_and_in_a_batch(packaged: SentenceEmbedder) -> None:
    texts = ["Short.", "A longer text about kettles and their warranty, which needs more padding." * 4]
    for text, vector in zip(texts, packaged.passages(texts), strict=True):
        assert packaged.passages([text])[0] == pytest.approx(vector, abs=1e-5)


def test_token_offsets_are_where_tokens_start_also_beyond_the_window(packaged: SentenceEmbedder) -> None:
    text = "Kettle — große Kessel! " * 200
    offsets = packaged.token_offsets(text)
    assert len(offsets) > packaged.window
    assert offsets == sorted(offsets)
    assert {"K", "—", "g", "!"} <= {text[offset] for offset in offsets}
    assert not any(text[offset].isspace() for offset in offsets)
    assert text[offsets[0] : offsets[1]].strip() == "Kettle"


def test_identity_is_the_models_not_the_folders(packaged: SentenceEmbedder, tmp_path: Path) -> None:
    folder = packaged_model()
    assert folder is not None
    (tmp_path / "copy").symlink_to(folder)
    copy = load_embedder(str(tmp_path / "copy"))
    assert copy.identity.split("-")[-1] == packaged.identity.split("-")[-1]
    assert copy.identity.startswith("copy-")
    assert packaged.identity.replace("-", "").isalnum()


def test_a_folder_without_a_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(EmbedderMissing, match="Give a folder with a sentence-transformers"):
        load_embedder(str(tmp_path))
