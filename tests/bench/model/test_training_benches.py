"""The benches of training, without TRL, which is no dependency: what they compute, say and refuse."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.bench import preferences_vs_trl
from tests.bench.preference_wins import compare_answers, keeps_rule, make_preference
from tests.bench.preferences_vs_trl import Run, find_difference, make_pairs
from tests.bench.training_growth import Growth
from tests.bench.training_growth import describe as describe_growth
from tests.bench.training_vs_trl import Sample, compare, describe, main, make_conversations, train_here
from tests.training.model.conftest import base_model, tokenizer  # noqa: F401
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


def test_the_side_of_braid_trains_on_the_rows_of_the_bench(
    base_model: Path,  # noqa: F811
    tokenizer: RowTokenizer,  # noqa: F811
) -> None:
    conversations = enumerate(make_conversations(8, 30), 1)
    rows = [row for number, messages in conversations for row in tokenizer.tokenize(number, messages)]
    sample = train_here(base_model, rows, TrainingDevice("cpu", torch.float32))
    assert sample.cpu > 0
    assert sample.loss > 0


@pytest.mark.parametrize("bench", [main, preferences_vs_trl.main])
def test_without_trl_the_bench_says_how_to_get_it(
    bench: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--trl", str(tmp_path)])
    with pytest.raises(SystemExit, match="doesn't have trl: fill it as the head of"):
        bench()


def test_a_pair_is_told_by_its_ending_and_lines_say_how_far_losses_are_apart(tokenizer: RowTokenizer) -> None:  # noqa: F811
    pairs = make_pairs(tokenizer, 3, 30)
    assert [pair.place for pair in pairs] == [0, 1, 2]
    for pair in pairs:
        start = pair.better.loss_mask.index(True)
        assert pair.better.tokens[:start] == pair.worse.tokens[:start]  # TRL gets the prompt once
        assert pair.better.tokens[start:] != pair.worse.tokens[start:]
    runs = [(Run(Sample(2, 4, 0.69), [0.7, 0.6]), Run(Sample(4, 6, 0.69), [0.7, 0.65]))]
    assert find_difference(runs) == pytest.approx(0.05)
    line = preferences_vs_trl.describe(runs)
    assert "1.00 and 2.00 s of cpu time per step, ratio 2.00" in line
    assert "losses differ by 5.0e-02 at most" in line


def test_a_rule_judges_the_answers_of_both_adapters() -> None:
    row = make_preference(3)
    assert keeps_rule(row["preferred_output"][0]["content"])
    assert not keeps_rule(row["non_preferred_output"][0]["content"])
    question = row["input"]["messages"][0]["content"]
    wrong, kept, other = "It is 2 euros. Fair winds.", "It is 31 euros. Fair winds.\n", "It is 31 euros. Bye now."
    figures = compare_answers([question] * 4, [other, other, kept, kept], [kept, kept, other, wrong])
    assert figures.wins is not None
    assert (figures.kept_before.value, figures.kept_after.value) == (0.5, 0.75)
    assert (figures.wins.value, figures.wins.n) == (pytest.approx(2 / 3), 3)
    assert (figures.right_before.value, figures.right_after.value) == (1.0, 0.75)
    assert compare_answers([question], [kept], [kept]).wins is None
