"""The benches of training, without TRL, which is no dependency: what they compute, say and refuse."""

import math
import sys
from pathlib import Path

import pytest
import torch

from tests.bench.training_growth import Growth
from tests.bench.training_growth import describe as describe_growth
from tests.bench.training_vs_trl import Sample, compare, describe, main, make_conversations, train_here
from tests.training.model.conftest import base_model  # noqa: F401
from training.hardware import TrainingDevice
from training.tokenization import RowTokenizer


def test_a_ratio_is_the_geometric_mean_of_pairs_with_its_interval() -> None:
    ratio = compare([1.0, 2.0, 4.0], [2.0, 4.0, 8.0])
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    ratio = compare([1.0, 1.0], [1.0, 4.0])
    half = 12.71 * math.log(4) / math.sqrt(2) / math.sqrt(2)
    assert ratio.value == pytest.approx(2)
    assert ratio.high == pytest.approx(2 * math.exp(half))
    assert math.isnan(compare([1.0], [2.0]).low)


def test_lines_say_speeds_and_growth() -> None:
    line = describe(1000, [(Sample(2, 4, 3.0), Sample(5, 5, 3.1))])
    assert "500 and 200 tokens per second of cpu time, ratio 2.50" in line
    assert "mean loss 3.000 and 3.100" in line
    table = describe_growth([Growth(200, 10, 12, 500), Growth(1000, 18, 20, 512)])
    assert table.endswith("| 1,000 | 18.0 | 20.0 | 10.0 | 512 |")


def test_the_side_of_braid_trains_on_the_rows_of_the_bench(base_model: Path) -> None:  # noqa: F811
    tokenizer = RowTokenizer.load(base_model)
    conversations = enumerate(make_conversations(8, 30), 1)
    rows = [row for number, messages in conversations for row in tokenizer.tokenize(number, messages)]
    sample = train_here(base_model, rows, TrainingDevice("cpu", torch.float32))
    assert sample.cpu > 0
    assert sample.loss > 0


def test_without_trl_the_bench_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["training_vs_trl", "--trl", str(tmp_path)])
    with pytest.raises(SystemExit, match="doesn't have trl: fill it as the head of"):
        main()
