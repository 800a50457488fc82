from collections.abc import Sequence

import pytest

from retrieval import fitting_batch
from retrieval.errors import EmbedderOutOfMemory, RetrieverFailed
from retrieval.fitting_batch import FittingBatch


class Device:
    """A model on a device that has room for so many texts at once; a vector is a text's length."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        self.sizes.append(len(texts))
        if len(texts) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return [[float(len(text))] for text in texts]


TEXTS = ["x" * number for number in range(11)]
VECTORS = [[float(number)] for number in range(11)]


def test_a_batch_is_halved_until_it_fits_and_later_ones_begin_there() -> None:
    device, batch = Device(3), FittingBatch(16, "cuda:0")
    assert batch.encode(device.encode, TEXTS) == VECTORS
    assert device.sizes == [11, 5, 2, 2, 2, 2, 2, 1]
    assert batch.size == 2
    device.sizes.clear()
    assert batch.encode(device.encode, TEXTS[:4]) == VECTORS[:4]
    assert device.sizes == [2, 2]


def test_the_whole_batch_is_tried_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    device, batch = Device(3), FittingBatch(8, "cuda:0")
    monkeypatch.setattr(fitting_batch, "_AGAIN_SECONDS", 0.0)
    batch.encode(device.encode, TEXTS[:8])
    device.room = 8
    device.sizes.clear()
    assert batch.encode(device.encode, TEXTS[:8]) == VECTORS[:8]
    assert (device.sizes, batch.size) == ([8], 8)


def test_without_room_for_one_text_it_is_said_what_to_do() -> None:
    with pytest.raises(EmbedderOutOfMemory, match=r"device \(cuda:0\) has no memory left for one text\. Leave it"):
        FittingBatch(8, "cuda:0").encode(Device(0).encode, TEXTS[:4])
    assert EmbedderOutOfMemory.code == RetrieverFailed.code, "a client tells it as a fault of the retriever"


def test_another_fault_is_not_tried_again() -> None:
    def fail(_texts: object) -> list[list[float]]:
        calls.append(1)
        raise RuntimeError("The text is odd.")

    calls: list[int] = []
    with pytest.raises(RuntimeError, match="odd"):
        FittingBatch(8, "cpu").encode(fail, TEXTS[:4])
    assert len(calls) == 1
