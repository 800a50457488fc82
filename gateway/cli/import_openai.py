"""`braid import openai`: what a team has at OpenAI, brought here before the hosted service closes."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Home, Key, Url, check_key, check_output_folder, find_connection
from gateway.client import Client
from gateway.counts import format_count
from gateway.evaluation.estimate import Estimate
from gateway.openai_import.destination import Destination
from gateway.openai_import.download import download_export
from gateway.openai_import.export_folder import read_export
from gateway.openai_import.hosted_api import HostedApi, HostedApiFailed
from gateway.openai_import.importer import ImportOptions, import_export
from gateway.openai_import.report import ImportReport
from gateway.openai_import.training_request import HostedTraining
from gateway.progress import Progress, ProgressLine
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["imports"]

imports = typer.Typer(add_completion=False, no_args_is_help=True, help="Bring over what a team has elsewhere.")

_OPENAI = "https://api.openai.com/v1"
_MOST_LISTED = 20
_REQUEST_SECONDS = 600.0  # a rollout waits until engines have loaded the adapter

_Folder = Annotated[Path, typer.Argument(help="The export; with --live it is filled first.", file_okay=False)]
_Live = Annotated[
    bool, typer.Option("--live", help="First read what OpenAI lists, with the key in OPENAI_API_KEY, into the folder.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and what can't be.")]
_Train = Annotated[bool, typer.Option("--train", help="Train the models again without asking.")]
_Grader = Annotated[
    str | None, typer.Option(help="The model here that grades where an eval asks a hosted one.", metavar="MODEL")
]
_Samples = Annotated[
    int, typer.Option(help="The most hosted answers per model that its style is compared by; 0: none.", min=0, max=500)
]


@imports.callback()
def _group() -> None:
    """Keep `openai` a command of its own name: a group of one would be that one."""


@imports.command("openai")
def import_openai(
    folder: _Folder,
    live: _Live = False,
    dry_run: _DryRun = False,
    train: _Train = False,
    grader: _Grader = None,
    samples: _Samples = 50,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring files, vector stores, prompts, evals and fine-tuned models of OpenAI's over; run again, it goes on.

    Old names (ft:…) answer with the new models once those are trained.
    """
    missing = asyncio.run(_download(folder)) if live else []
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder. Name an export, or fill one with --live.", Exit.NOT_FOUND)
    export = read_export(folder)
    if not any(export.records.values()):
        raise CommandError(
            f"{folder} has no objects of OpenAI's. They are JSON or JSONL as its API lists them, such as files.jsonl.",
            Exit.NOT_FOUND,
        )
    options = ImportOptions(lambda jobs: _confirm(jobs, train=train), grader, samples)

    async def run() -> ImportReport:
        async with Client(*find_connection(url, key, home), timeout=_REQUEST_SECONDS) as client:
            lines = _Lines()
            models = (await client.get("/v1/models"))["data"]
            if not models:
                raise CommandError(
                    "Braid serves no base model yet, so that nothing can be trained on it. Try again later."
                )
            gateway = Destination(client, models[0]["id"], lines.show, dry_run=dry_run)
            try:
                return await import_export(export, gateway, options, missing)
            except asyncio.CancelledError:
                say("What was made stays, and trainings that have begun go on. The same command goes on from there.")
                raise
            finally:
                lines.close()

    report = asyncio.run(run())
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.untrained:
        models = format_count(len(report.untrained), "model isn't", "models aren't")
        say(f"{models} trained again. The same command with --train does it.")


async def _download(folder: Path) -> list[str]:
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise CommandError("--live takes a key of OpenAI's from OPENAI_API_KEY, which isn't set.", Exit.USAGE)
    key = check_key(key)
    check_output_folder(folder).mkdir(parents=True, exist_ok=True)
    lines = _Lines()
    try:
        async with HostedApi(os.environ.get("OPENAI_BASE_URL") or _OPENAI, key) as api:
            return (await download_export(api, folder, lambda title, count: lines.show(title, count, count))).missing
    except HostedApiFailed as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    except asyncio.CancelledError:
        say(f"What was read is in {folder}. The same command goes on from there.")
        raise
    finally:
        lines.close()


def _confirm(jobs: Sequence[HostedTraining], *, train: bool) -> bool:
    """Ask whether models are to be trained again, unless that was said; without a person the answer is no."""
    if train:
        return True
    names = ", ".join(job.model for job in jobs[:_MOST_LISTED])
    say(f"{format_count(len(jobs), 'model')} can be trained again: {names}")
    return sys.stdin.isatty() and typer.confirm("Train them now?", err=True)


class _Lines:
    """A line of progress for what is being done, one at a time."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._title = ""
        self._line: ProgressLine | None = None
        self._open = self._progress.line("")

    def show(self, title: str, count: int, total: int, detail: str = "") -> None:
        if title != self._title:
            self.close()
            self._title, self._open = title, self._progress.line(title)
            self._line = self._open.__enter__()
        if self._line is not None:
            self._line.show(count, total, detail)

    def close(self) -> None:
        if self._line is not None:
            self._open.__exit__(None, None, None)
            self._line, self._title = None, ""


def _print_report(report: ImportReport) -> None:
    verb = "would be made" if report.dry_run else "made"
    columns = ("kind", "in the export", "there already", verb, "can't be")
    rows = [(kind, one.total, one.present, one.imported, one.omitted) for kind, one in report.counts.items()]
    print_table(columns, [row for row in rows if any(row[1:])])
    reasons = Counter((one.kind, one.reason, one.partly) for one in report.omissions)
    for kind, reason, partly in reasons:
        ids = [one.name or one.id for one in report.omissions if (one.kind, one.reason) == (kind, reason)]
        names = ", ".join(filter(None, ids[:_MOST_LISTED])) + (" …" if len(ids) > _MOST_LISTED else "")
        say(f"{kind}{f' {names}' if names else ''}: {'' if partly else 'not taken: '}{reason}")
    for hosted, model in (report.models | report.checkpoints).items():
        say(f"{hosted} → {model or 'a new model'}")
    for one in report.similarities:
        say(
            f"{one.hosted}: over {one.n} hosted answers the new model has the hosted voice by {_format(one.voice)} "
            f"(hosted {one.hosted_voice.value:.2f}, base model {one.base_voice.value:.2f}), and is "
            f"{_format(one.closeness)} alike, {_format(one.gain)} more than the base model"
        )


def _format(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
