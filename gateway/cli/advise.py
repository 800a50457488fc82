"""`braid advise`: what to use for a tenant's conversations, measured on a running gateway."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.advice import ADVICE
from gateway.advice.advice_page import render_page
from gateway.advice.report import AdviceReport, ArmFigures
from gateway.cli.bulk_add import BulkAdd
from gateway.cli.docs import name_documents
from gateway.cli.measurement import await_measurement
from gateway.cli.named_store import get_or_make_store, get_store
from gateway.cli.options import AsJson, Home, Key, Url, check_output_file, find_connection
from gateway.client import Client
from gateway.client.documents import WAIT_SECONDS
from gateway.evaluation.estimate import Estimate
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["advise"]


_Data = Annotated[
    Path,
    typer.Option(
        help="Conversations of any format that 'braid styles check' reads; half of them are asked.",
        exists=True,
        dir_okay=False,
    ),
]
_Docs = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the documents that answers are to come from; it becomes the store advice-FOLDER.",
        exists=True,
        file_okay=False,
    ),
]
_Store = Annotated[str | None, typer.Option(help="Id or name of a vector store that has the documents already.")]
_Adapter = Annotated[str | None, typer.Option(help="An adapter of yours (ft:…) that the style is compared with.")]
_Prompt = Annotated[
    str | None,
    typer.Option(help="A prompt of yours for the ways that have one, NAME@VERSION; of a bare NAME the newest version."),
]
_Variables = Annotated[
    list[str] | None,
    typer.Option("--variable", help="NAME=VALUE for a name of the prompt's own; VALUE may be JSON. Repeatable."),
]
_Rows = Annotated[int, typer.Option(help="The most conversations that are asked, each in every way.", min=10, max=500)]
_Page = Annotated[
    Path | None, typer.Option(callback=check_output_file, help="Write the report as one HTML page with plots, too.")
]


def advise(
    data: _Data,
    docs: _Docs = None,
    store: _Store = None,
    adapter: _Adapter = None,
    prompt: _Prompt = None,
    variable: _Variables = None,
    rows: _Rows = 100,
    page: _Page = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what to use, system text, examples, an adapter, documents or some of them together, and what not, and why.

    Each way is tried on conversations that nothing was learnt from. The same folder again sends only what has changed,
    so that facts that went stale are named. Stopping the command doesn't stop the work.
    """
    if docs is not None and store is not None:
        raise CommandError("Give --docs or --store: a folder becomes a store of its own.", Exit.USAGE)
    request: dict[str, Any] = {"kind": ADVICE, "adapter": adapter, "prompt": prompt, "rows": rows}
    request["variables"] = dict(map(_read_variable, variable or ()))
    report = asyncio.run(_advise(*find_connection(url, key, home), data, docs, store, request))
    if page is not None:
        page.write_text(render_page(report), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        _print_arms(report)
    _say_words(report)
    if page is not None:
        say(f"The report is in {page}, with pictures.")


def _read_variable(option: str) -> tuple[str, Any]:
    """Return a name with its value: JSON where it is some, else the text itself."""
    name, separator, value = option.partition("=")
    if not separator:
        raise CommandError(f"--variable {option!r} has no value. Give NAME=VALUE.", Exit.USAGE)
    try:
        return name, msgspec.json.decode(value.encode())
    except msgspec.DecodeError:
        return name, value


async def _advise(
    url: str, key: str, data: Path, docs: Path | None, store: str | None, request: Mapping[str, Any]
) -> AdviceReport:
    async with Client(url, key, timeout=WAIT_SECONDS + 30) as client:
        store_id = await (_find_store(client, store) if docs is None else _put_documents(client, docs))
        file_id = await _upload(client, data)
        try:
            body = {**request, "file_id": file_id, "vector_store_id": store_id}
            row = await client.post("/api/evaluations", body)
        finally:
            await client.delete(f"/v1/files/{file_id}")  # the evaluation has the conversations by now
        say(f"{row['id']}: {row['questions']} conversations")
        path = f"/api/evaluations/{row['id']}"
        await await_measurement(client, path, row, unit="questions to the model", lack="There is no advice")
        return msgspec.convert(await client.get(f"{path}/report"), AdviceReport)


async def _upload(client: Client, data: Path) -> str:
    content = await asyncio.to_thread(data.read_bytes)
    form = {"data": {"purpose": "user_data"}, "files": {"file": (data.name, content)}}
    return (await client.call("POST", "/v1/files", **form))["id"]


async def _find_store(client: Client, store: str | None) -> str | None:
    if store is None:
        return None
    return await get_store(client, store)


async def _put_documents(client: Client, folder: Path) -> str:
    """Bring the folder's store up to date, and return its id: earlier versions stay known, and so does what changed."""
    name = f"advice-{folder.resolve().name}"
    files = name_documents([folder])
    store_id = await get_or_make_store(client, name)
    states = await BulkAdd(client, store_id).add(files)
    failed = [one["key"] for one in states if one["status"] == "failed"]
    say(f"{name}: {len(files) - len(failed)} of {len(files)} documents")
    if len(failed) == len(files):
        raise CommandError(f"None of the files in {folder} can be read as a document.")
    return store_id


def _print_arms(report: AdviceReport) -> None:
    task = ("right",) if report.bounded else ()
    columns = ("way", "style", *task, "facts", "supported", "abstains", "tokens", "p50", "break-even")
    print_table(columns, [_to_line(arm, report) for arm in report.arms])


def _to_line(arm: ArmFigures, report: AdviceReport) -> tuple[str, ...]:
    task = (_format(arm.task),) if report.bounded else ()
    figures = (_format(arm.style), *task, *map(_format, (arm.facts, arm.supported, arm.abstains)))
    tokens = f"{arm.prompt_tokens:.0f}+{arm.completion_tokens:.0f}"
    requests = "–" if arm.break_even is None else f"{arm.break_even:,}"
    return (arm.name, *figures, tokens, f"{arm.seconds:.2f} s", requests)


def _format(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _say_words(report: AdviceReport) -> None:
    for title, sentences in (("Use", report.use), ("Don't", report.avoid), ("Next", report.next)):
        if sentences:
            say("\n".join([f"{title}:", *(f"  {sentence}" for sentence in sentences)]))
    if report.missing:
        say("Not tried: " + "; ".join(f"{name}: {reason}" for name, reason in report.missing.items()))
