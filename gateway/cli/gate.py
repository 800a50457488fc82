"""`braid gate`: a release held against the base and the release that serves, and a verdict that a script can read."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from gateway.assistants.gate_verdict import MARGIN
from gateway.assistants.release import split_release
from gateway.cli.measurement import await_measurement
from gateway.cli.options import AsJson, Home, Key, Url, check_output_file, find_connection
from gateway.client import Client, GatewayError
from gateway.evaluation.base_suite import FIRST_PROMPTS, MOST_PROMPTS
from gateway.evaluation.estimate import Estimate
from gateway.gates.checks import Check
from gateway.gates.gate_page import render_page
from gateway.gates.report import GateReport
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["gate"]


_Target = Annotated[
    str, typer.Argument(help="A release (desk@4), an assistant (its newest release), or an adapter (ft:…).")
]
_Assistant = Annotated[
    str | None,
    typer.Option(help="Of an adapter that has no release: make one like the one that serves this assistant."),
]
_File = Annotated[
    Path | None,
    typer.Option(
        help="Held-out rows, in the format of training files; default: what the adapter's job validated by.",
        exists=True,
        dir_okay=False,
    ),
]
_Rows = Annotated[int, typer.Option(help="How many of the rows are asked.", min=10, max=400)]
_Margin = Annotated[float, typer.Option(help="How much lower faithfulness and general may be.", min=0, max=0.2)]
_Canaries = Annotated[
    Path | None,
    typer.Option(help="Texts that were planted in training rows, one per line.", exists=True, dir_okay=False),
]
_EvalRuns = Annotated[
    list[str] | None,
    typer.Option(help="RUN:BASELINE, completed runs of one eval that asked the release and what serves; repeatable."),
]
_GeneralPrompts = Annotated[
    int,
    typer.Option(
        help="How many prompts of the base suite are asked at most, in rounds that end once they decide.",
        min=FIRST_PROMPTS,
        max=MOST_PROMPTS,
    ),
]
_Page = Annotated[
    Path | None, typer.Option(callback=check_output_file, help="Write the report as a page with pictures to this file.")
]


def gate(
    target: _Target,
    assistant: _Assistant = None,
    file: _File = None,
    rows: _Rows = 100,
    margin: _Margin = MARGIN,
    canaries: _Canaries = None,
    eval_runs: _EvalRuns = None,
    general_prompts: _GeneralPrompts = FIRST_PROMPTS,
    page: _Page = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Hold a release against the base model and the release that serves, wait, and print the figures and the verdict.

    Exit status 1 where it blocks the release, or couldn't be run. A gate of this release that runs already is waited
    for. Stopping the command doesn't stop the work.
    """
    options: dict[str, Any] = {"rows": rows, "margin": margin}
    if general_prompts != FIRST_PROMPTS:  # an older gateway knows none
        options["general_prompts"] = general_prompts
    if canaries is not None:
        options["canaries"] = [line for line in canaries.read_text(encoding="utf-8").splitlines() if line.strip()]
    if eval_runs:
        options["eval_runs"] = [_read_run_pair(pair) for pair in eval_runs]
    report, note = asyncio.run(_run(*find_connection(url, key, home), target, assistant, file, options))
    if page is not None:
        page.write_text(render_page(report), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        columns = ("check", "candidate", "compared", "difference", "n", "bound", "holds")
        print_table(columns, [_to_line(check) for check in report.checks])
    say(f"{report.release} against {report.against} and {report.base}, on {report.rows} rows of {report.source}")
    if not report.passed:
        failed = [_describe(check) for check in report.checks if check.passed is False]
        raise CommandError(f"The gate blocks {report.release}: {', '.join(failed)}.{_hint(report)}")
    if note:
        raise CommandError(note)
    say(f"The gate lets {report.release} pass.")


def _read_run_pair(pair: str) -> dict[str, str]:
    run, _, baseline = pair.partition(":")
    if not run or not baseline:
        raise CommandError(
            f"--eval-runs takes RUN:BASELINE, the ids of two runs of one eval, and got {pair!r}.", Exit.USAGE
        )
    return {"run_id": run, "baseline_id": baseline}


async def _run(
    url: str, key: str, target: str, assistant: str | None, file: Path | None, options: dict[str, Any]
) -> tuple[GateReport, str]:
    """Return the report, and why the release is blocked in spite of it, "" where it isn't."""
    async with Client(url, key) as client:
        name, number = await _find_release(client, target, assistant)
        if file is not None:
            with file.open("rb") as handle:
                upload = {"data": {"purpose": "fine-tune"}, "files": {"file": (file.name, handle)}}
                options["file_id"] = (await client.call("POST", "/v1/files", **upload))["id"]
        path = f"/api/assistants/{quote(name, safe='')}/releases/{number}/gate"
        state = await _begin(client, path, f"{name}@{number}", options)
        lack = f"The gate of {name}@{number} has no verdict"
        state = await await_measurement(client, path, state, unit="questions to the model", lack=lack)
    report = msgspec.convert(state["report"], GateReport)
    return report, state["note"] if report.passed and state["verdict"] == "failed" else ""


async def _begin(client: Client, path: str, label: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return await client.post(path, options)
    except GatewayError as error:
        if error.code == "no_held_out_rows":
            raise CommandError(f"{error} This command uploads them with --file.", Exit.USAGE) from None
        if error.code != "gate_running":
            raise
    say(f"A gate of {label} runs already; waiting for that one.")
    return await client.get(path)


async def _find_release(client: Client, target: str, assistant: str | None) -> tuple[str, int]:
    """Return the assistant and the number of the release that is meant."""
    name, number = split_release(target)
    if number is not None:
        return name, number
    assistants = [one["name"] async for one in client.read_rows("/api/assistants")]
    if target in assistants:
        releases = await _list_releases(client, target)
        if releases:
            return target, releases[-1]["release"]
        raise CommandError(f"{target} has no release yet. POST /api/assistants/{target}/releases makes one.")
    matches = [one for one in assistants if assistant in (None, one)]
    releases = [(name, release) for name in matches for release in await _list_releases(client, name)]
    of_adapter = [(name, one["release"]) for name, one in releases if _read_adapter(one) == target]
    if of_adapter:
        return of_adapter[-1]
    if assistant is None or assistant not in assistants:
        raise CommandError(
            f"{target} is no release and no assistant, and no release has an adapter of that name. Name an assistant "
            "with --assistant: the adapter then gets a release there, like the one that serves.",
            Exit.NOT_FOUND,
        )
    return assistant, await _make_release(client, assistant, target)


async def _list_releases(client: Client, name: str) -> list[dict[str, Any]]:
    return [one async for one in client.read_rows(f"/api/assistants/{quote(name, safe='')}/releases")]


def _read_adapter(release: Mapping[str, Any]) -> str | None:
    adapter = release["spec"].get("adapter")
    return adapter["model"] if adapter else None


async def _make_release(client: Client, assistant: str, adapter: str) -> int:
    """Make a release like the one with the largest share, or a bare one where none serves, with another adapter."""
    path = f"/api/assistants/{quote(assistant, safe='')}"
    stages = (await client.get(path))["stages"]
    serving = max(stages, key=lambda stage: stage["weight"])["release"] if stages else None
    specs = [one["spec"] for one in await _list_releases(client, assistant) if one["release"] == serving]
    request = _to_request(specs[0] if specs else {}) | {"adapter": adapter}
    number = (await client.post(f"{path}/releases", request))["release"]
    say(f"{assistant}@{number} is new: {adapter}{f' with the other parts of {assistant}@{serving}' if specs else ''}.")
    return number


def _to_request(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a release was asked for as, without its adapter."""
    prompt, retrieval = spec.get("prompt"), spec.get("retrieval")
    request: dict[str, Any] = {"sampling": spec.get("sampling") or {}, "variables": spec.get("variables") or {}}
    if prompt:
        request["prompt"] = f"{prompt['name']}@{prompt['version']}"
    if retrieval:
        # What an older release doesn't say is off in it, where a new one would have a default.
        older = {"least_probability": 0.0, "when": "always"}
        request["retrieval"] = older | {name: value for name, value in retrieval.items() if name != "embedder"}
    return request


def _to_line(check: Check) -> tuple[object, ...]:
    estimates = (check.candidate, check.baseline, check.difference)
    count = check.difference.n if check.difference else ""
    holds = {True: "yes", False: check.outcome or "no", None: ""}[check.passed]
    return (check.name, *map(_format, estimates), count, check.bound or check.note, holds)


def _describe(check: Check) -> str:
    if check.outcome != "undecided":
        return check.name
    return f"{check.name} (too few to tell{f', about {check.rows_needed} would' if check.rows_needed else ''})"


def _hint(report: GateReport) -> str:
    """Return what to ask for where more prompts of the base suite may tell, "" elsewhere."""
    few = "general" in report.undecided or "general.prompt" in report.undecided
    if not few or not 0 < report.most_general_prompts < MOST_PROMPTS:  # 0 of an older gateway
        return ""
    return f" More prompts of the base suite may tell: --general-prompts {MOST_PROMPTS}."


def _format(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
