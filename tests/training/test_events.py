import msgspec
import pytest

from training.dataset import Problem
from training.events import Checkpoint, EpochMetrics, Failed, Notice, Step, decode_event

EVENTS = {
    "step": Step(
        step=1, steps=2, epoch=0.5, loss=2.0, mean_token_accuracy=0.5, learning_rate=1e-3, tokens_per_second=100.0,
        seconds_left=9.0, trained_tokens=900,
    ),
    "checkpoint": Checkpoint(
        step=2, epoch=1, metrics=EpochMetrics(step=2, train_loss=1.0, train_mean_token_accuracy=0.6)
    ),
    "warning": Notice(code="few_rows", message="Few."),
    "failed": Failed(code="invalid_training_file", message="Bad.", problems=[Problem(3, "Bad.")]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_named_in_its_line_and_comes_back(name: str) -> None:
    line = msgspec.json.encode(EVENTS[name])
    assert msgspec.json.decode(line)["event"] == name
    assert b"\n" not in line
    assert decode_event(line) == EVENTS[name]


def test_metrics_that_were_not_measured_are_left_out() -> None:
    checkpoint = msgspec.json.decode(msgspec.json.encode(EVENTS["checkpoint"]))
    assert set(checkpoint["metrics"]) == {"step", "train_loss", "train_mean_token_accuracy"}


def test_a_line_of_another_kind_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_event(b'{"event":"progress"}')
