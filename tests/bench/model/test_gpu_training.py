"""The benchmark for a GPU, on the processor: all of its path but the device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(300)
def test_the_benchmark_runs_and_reports(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    small = ["--shape", "small", "--device", "cpu", "--steps", "2", "--json", str(out)]
    command = [sys.executable, "-m", "tests.bench.gpu_training", *small]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert list(report["methods"]) == ["sft", "qlora", "dpo"]
    for figures in report["methods"].values():
        assert figures["refusal"] == ""
        assert figures["steps"] == 2
        assert 0 < figures["peak"] <= figures["forecast"] < report["free"]
        assert figures["tokens_per_second"] > 0
    assert report["refusal"].startswith("out_of_memory: Training needs at least 1.")
    assert "GiB on cpu (weights" in report["refusal"]
    assert "measured peak" in done.stdout
