"""The benchmark runs from a plain clone: every target that is no peer answers, whole and streamed, without an error."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.driver import Sample
from tests.bench.gateway import ASSISTANT, BRAID, CASES, comparison, table
from tests.bench.targets import ROOT
from tests.bench.upstream import EVENTS


def test_a_short_run_measures_every_target(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    short = ["--rounds", "1", "--seconds", "0.4", "--warm-up", "0.02", "--out", str(out)]
    # A process of its own, because a run binds itself to one core.
    command = [sys.executable, "-m", "tests.bench.gateway", *short]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in out.read_text().splitlines()]
    names = {sample["name"] for sample in samples}
    assert {
        "direct",
        "bare protocols, full path",
        "FastAPI route, own client, full path",
        BRAID,
        BRAID + ASSISTANT,
    } <= names
    assert len(samples) == len(names) * len(CASES)
    assert [sample for sample in samples if sample["errors"]] == []
    assert all(sample["requests"] and sample["cpu_us"] > 0 for sample in samples)
    assert BRAID in done.stdout


def sample(cpu_us: float, *, stream: bool, concurrency: int) -> Sample:
    times = {"p50_ms": 1.0, "first_ms": cpu_us / 100}
    return Sample(stream, concurrency, requests=EVENTS, errors=0, cpu_us=cpu_us, per_second=1, **times)


def test_tables_say_medians_and_ratios_of_the_same_round() -> None:
    def rounds(*figures: float) -> dict[tuple[bool, int], list[Sample]]:
        return {case: [sample(one, stream=case[0], concurrency=case[1]) for one in figures] for case in CASES}

    results = {"direct": rounds(1, 1, 1), "Braid in old": rounds(100, 300, 200), BRAID: rounds(110, 600, 210)}
    results[BRAID + ASSISTANT] = rounds(121, 630, 231)
    results["vllm-router"] = rounds(70, 70, 70)
    assert f"| {BRAID} | 210 / 210 / 210 | 3.0 | 0.00 ms | 210.0 | 2.09 ms |" in table(results)
    assert "per request at 16: 1.100 (1.050 – 2.000)" in comparison(results)
    assert "an assistant ÷ the base model, processor time per request at 16: 1.10" in comparison(results)
