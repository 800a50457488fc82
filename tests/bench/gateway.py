"""What the gateway adds to a request, beside floors and peers on one mock model server, in one run.

    make bench-gateway                                   direct, two floors, and this checkout
    make bench-gateway BENCH="--against ../before"       and another checkout, round by round beside this one
    make bench-gateway BENCH="--peers DIR"               vllm-router and LiteLLM too, from DIR or the PATH

Each target has core 1 for itself; mock and driver share core 0. The rounds are interleaved, every other one backwards,
so that what else the machine does falls on all of them; figures are medians over the rounds. Retrieval is off, the key
is a tenant's. Braid is asked for its base model, and for an assistant: a release with a prompt, behind a rollout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import uvloop

from tests.bench import targets
from tests.bench.driver import Sample, measure
from tests.bench.targets import ROOT, Running, Target

Case = tuple[bool, int]  # streamed, concurrency
Results = dict[str, dict[Case, list[Sample]]]
STREAMS: Case = (True, 16)
PLAIN: Case = (False, 16)
MANY_STREAMS: Case = (True, 64)
CASES: tuple[Case, ...] = ((False, 1), PLAIN, (False, 64), STREAMS, MANY_STREAMS)
BRAID = "**Braid**"
ASSISTANT = ", an assistant"  # of the same gateway: a release with a prompt, behind a rollout
_COLUMNS = (
    "CPU µs per request at 1 / 16 / 64",
    "against vllm-router at 16",
    "added p50 at 16",
    "µs per event at 16",
    "added first token at 64 streams",
)


def run(chosen: argparse.Namespace) -> Results:
    """Start everything, measure in rounds, and stop everything again."""
    results: Results = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="braid-bench-")))
        engine = targets.mock()
        upstream = f"http://127.0.0.1:{engine.port}"
        running: list[Running] = []
        for number, target in enumerate([engine, *_targets(chosen, upstream, scratch)]):
            log = scratch / f"{number}.log"
            live = stack.enter_context(targets.started(target, min(number, 1), log))
            if live is None:
                print(f"{target.name} doesn't answer:\n{log.read_text()[-2000:]}", file=sys.stderr)
            else:
                running.append(live)
                if target.braid:
                    running.append(replace(live, name=f"{live.name}{ASSISTANT}", model=targets.ASSISTANT))
        os.sched_setaffinity(0, {0} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
        for number in range(chosen.rounds):
            for live in running[:: -1 if number % 2 else 1]:
                _measure(live, chosen, results)
            print(f"round {number + 1} of {chosen.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return results


def _targets(chosen: argparse.Namespace, upstream: str, scratch: Path) -> list[Target]:
    floors = [
        targets.floor("bare protocols, full path", "bare", upstream),
        targets.floor("FastAPI route, own client, full path", "fastapi", upstream),
    ]
    found = [*floors, *targets.peers(upstream, chosen.peers, scratch)]
    for number, checkout in enumerate(chosen.against):
        found.append(targets.braid(f"Braid in {checkout}", checkout.resolve(), scratch / f"b{number}", upstream))
    return [*found, targets.braid(BRAID, ROOT, scratch / "b", upstream)]


def _measure(live: Running, chosen: argparse.Namespace, results: Results) -> None:
    for stream, concurrency in CASES:
        window = {"warm_up": chosen.warm_up, "seconds": chosen.seconds}
        options = {"stream": stream, "concurrency": concurrency, "model": live.model, **window}
        sample = uvloop.run(measure(live.url, live.key, live.process.pid, **options))
        results.setdefault(live.name, {}).setdefault((stream, concurrency), []).append(sample)
        if sample.errors:
            print(f"{live.name}: {sample.errors} errors at {concurrency}", file=sys.stderr)


def table(results: Results) -> str:
    """Return the figures as a table for docs/benchmarks/gateway.md."""
    lines = [f"| | {' | '.join(_COLUMNS)} |", "|---|---|---|---|---|---|"]
    router, direct = results.get("vllm-router"), results.get("direct", {})
    for name, cases in results.items():
        plain = " / ".join(f"{_median(cases, case, 'cpu_us'):,.0f}" for case in CASES if not case[0])
        ratio = f"{_median(cases, PLAIN, 'cpu_us') / _median(router, PLAIN, 'cpu_us'):.1f}" if router else "–"
        added = _median(cases, PLAIN, "p50_ms") - _median(direct, PLAIN, "p50_ms")
        event = f"{_median(cases, STREAMS, 'cpu_us'):.1f}"
        first = _median(cases, MANY_STREAMS, "first_ms") - _median(direct, MANY_STREAMS, "first_ms")
        lines.append(f"| {name} | {plain} | {ratio} | {added:.2f} ms | {event} | {first:.2f} ms |")
    return "\n".join(lines)


def _median(cases: dict[Case, list[Sample]], case: Case, figure: str) -> float:
    values = [getattr(sample, figure) for sample in cases.get(case, [])]
    return statistics.median(values) if values else float("nan")


def comparison(results: Results) -> str:
    """Say what this checkout costs against each other one: the median of the rounds' ratios, and their range."""
    lines: list[str] = []
    for name, cases in results.items():
        if not name.startswith("Braid in "):
            continue
        ours = results[BRAID + ASSISTANT if name.endswith(ASSISTANT) else BRAID]
        lines.append(f"\nthis checkout ÷ {name}, processor time, median of {len(cases[PLAIN])} rounds (least – most)")
        for stream, concurrency in CASES:
            pairs = zip(ours[stream, concurrency], cases[stream, concurrency], strict=True)
            ratios = [here.cpu_us / there.cpu_us for here, there in pairs]
            what = "event" if stream else "request"
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            lines.append(f"  per {what} at {concurrency:2}: {middle:.3f} ({least:.3f} – {most:.3f})")
    pairs = zip(results[BRAID + ASSISTANT][PLAIN], results[BRAID][PLAIN], strict=True)
    ratio = statistics.median(assistant.cpu_us / base.cpu_us for assistant, base in pairs)
    lines.append(f"\nan assistant ÷ the base model, processor time per request at 16: {ratio:.2f}")
    return "\n".join(lines)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=4, help="an even number: they turn the order")
    options.add_argument("--seconds", type=float, default=2.0, help="of each window")
    options.add_argument("--warm-up", type=float, default=0.4, help="seconds before each window")
    options.add_argument("--against", type=Path, action="append", default=[], help="another checkout of Braid")
    options.add_argument("--peers", type=Path, action="append", default=[], help="a folder with peers' programs")
    out = ROOT / ".braid" / "bench" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    options.add_argument("--out", type=Path, default=out)
    return options


def _commit(checkout: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True)
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and keep the samples."""
    chosen = _options().parse_args(arguments)
    results = run(chosen)
    print(table(results))
    print(comparison(results))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"name": name, **asdict(s)} for name, cases in results.items() for all in cases.values() for s in all]
    chosen.out.write_text("".join(json.dumps({"commit": _commit(ROOT), **row}) + "\n" for row in rows))
    print(f"\n{len(rows)} samples are in {chosen.out}.")
    return 0 if BRAID in results else 1


if __name__ == "__main__":
    sys.exit(main())
