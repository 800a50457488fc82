"""`braid diagnose`: the strand that failed, told by a running gateway."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.assistants.release import split_release
from gateway.cli.measurement import await_measurement
from gateway.cli.options import AsJson, Home, Key, Url, check_output_folder, find_connection
from gateway.client import Client
from gateway.diagnoses.diagnosis_page import render_page
from gateway.diagnoses.report import DiagnosisReport
from gateway.errors import BAD_JSON
from gateway.terminal import CommandError, Exit, print_json, print_table, say
from training.repeated_names import describe_repeated_name, find_repeated_name

__all__ = ["diagnose"]


_Model = Annotated[
    str | None, typer.Argument(help="An assistant, or a release of one (desk@7); else that of the run or the gate.")
]
_Failures = Annotated[
    Path | None,
    typer.Option(
        help="A .jsonl of failures: question or messages, reference or expected, answer_id.",
        exists=True,
        dir_okay=False,
    ),
]
_Passes = Annotated[
    Path | None,
    typer.Option(
        help="A .jsonl of the same with answers that passed, which must stay right.", exists=True, dir_okay=False
    ),
]
_Run = Annotated[str | None, typer.Option(help="A run of an eval: EVAL_ID/RUN_ID.")]
_Gate = Annotated[str | None, typer.Option(help="The gate of a release: desk@7.")]
_Samples = Annotated[int, typer.Option(help="Answers to each variant of a failure.", min=3, max=9)]
_NoProposals = Annotated[bool, typer.Option("--no-proposals", help="Make no releases that mend the failures.")]
_Out = Annotated[Path, typer.Option(callback=check_output_folder, help="Folder for report.json and report.html.")]


def diagnose(
    model: _Model = None,
    failures: _Failures = None,
    passes: _Passes = None,
    run: _Run = None,
    gate: _Gate = None,
    samples: _Samples = 3,
    no_proposals: _NoProposals = False,
    out: _Out = Path("diagnosis"),
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Replay answers that failed with one strand changed at a time, and say which of them was at fault.

    Releases that mend failures beyond noise are made, and promoted by nobody. Stopping the command doesn't stop the
    work.
    """
    body: dict[str, Any] = {"samples": samples, "propose": not no_proposals}
    body |= {} if model is None else {"model": model}
    body |= {name: _read(file) for name, file in (("failures", failures), ("passes", passes)) if file is not None}
    body |= _name_sources(run, gate)
    row, report = asyncio.run(_diagnose(*find_connection(url, key, home), body))
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_bytes(msgspec.json.encode(report))
    (out / "report.html").write_text(render_page(report), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        print_table(("strand", "failures"), [(strand, str(count)) for strand, count in report.strands.items()])
    for one in report.proposals:
        number = row["releases"].get(one.strand)
        outcome = one.note if number is None else f"Release {row['assistant']}@{number}, which nobody gets yet."
        say(f"{one.strand}: {one.change} mends {one.failures.mended} of {one.failures.cases}. {outcome}")
    for question in report.unanswered:
        say(f"no document answers: {question}")
    say(f"The report is in {out / 'report.json'}, and as a page in {out / 'report.html'}.")


def _read(file: Path) -> list[Any]:
    rows: list[Any] = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            rows += [msgspec.json.decode(line)] if line.strip() else []
        except BAD_JSON as error:
            raise CommandError(f"{file}, line {number}, isn't JSON: {error}", Exit.USAGE) from None
        if name := find_repeated_name(line):
            raise CommandError(f"{file}, line {number}: {describe_repeated_name(name)}", Exit.USAGE)
    return rows


def _name_sources(run: str | None, gate: str | None) -> dict[str, Any]:
    sources: dict[str, Any] = {}
    if run is not None:
        eval_id, _, run_id = run.partition("/")
        sources["run"] = {"eval_id": eval_id, "run_id": run_id}
    if gate is not None:
        assistant, number = split_release(gate)
        if number is None:
            raise CommandError(f"{gate!r} names no release, such as desk@7.", Exit.USAGE)
        sources["gate"] = {"assistant": assistant, "release": number}
    return sources


async def _diagnose(url: str, key: str, body: dict[str, Any]) -> tuple[dict[str, Any], DiagnosisReport]:
    async with Client(url, key) as client:
        row = await client.post("/api/diagnoses", body)
        path, lack = f"/api/diagnoses/{row['id']}", "There is no diagnosis"
        row = await await_measurement(client, path, row, unit="failures", lack=lack, total="failures")
        return row, msgspec.convert(await client.get(f"{path}/report"), DiagnosisReport)
