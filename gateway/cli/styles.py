"""`braid styles`: conversations that a style is to be learnt from."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.cli.named_store import get_store
from gateway.cli.options import AsJson, Home, Key, Url, check_output_file, find_connection
from gateway.cli.styles_stale import list_stale
from gateway.cli.styles_write import write
from gateway.client import Client
from gateway.conversations import UnusableFile, encode_conversations
from gateway.conversations.checks import check_import
from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.facts_lint import describe_facts
from gateway.conversations.findings import CheckReport, RowFact
from gateway.conversations.formats import FORMATS, read_conversations
from gateway.conversations.phone_numbers import is_region
from gateway.conversations.private_data import redact_conversation
from gateway.conversations.remote_facts import add_passages, look_up_facts
from gateway.counts import format_count
from gateway.progress import Progress
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["styles"]

styles = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check and convert the conversations that a style is learnt from."
)

styles.command("stale")(list_stale)
styles.command("write")(write)

_NAMED_ROWS = 8

_File = Annotated[Path, typer.Argument(help="The conversations.", exists=True, dir_okay=False)]
_Format = Annotated[str | None, typer.Option(help=f"One of {', '.join(FORMATS)}; default: what the file looks like.")]
_Map = Annotated[
    list[str] | None,
    typer.Option(
        help="Of CSV, JSON or Parquet: question=COLUMN, reply=, system=, conversation=, role=, text=, time=, internal= "
        "or public=; several times."
    ),
]
_Validation = Annotated[
    Path | None,
    typer.Option(help="Conversations kept for validation, of the same format.", exists=True, dir_okay=False),
]
_MaxLength = Annotated[int, typer.Option(help="The most tokens of a row, about.", min=64)]
_Store = Annotated[
    str | None, typer.Option(help="Id or name of a vector store: look the replies' facts up in its documents.")
]
_FactStore = Annotated[str, typer.Option("--store", help="Id or name of the vector store.")]
_Strict = Annotated[bool, typer.Option("--strict", help="Fail for warnings too.")]
_Out = Annotated[Path, typer.Option("--out", "-o", callback=check_output_file, help="The file of JSONL to write.")]
_Region = Annotated[
    str | None, typer.Option(help="Country of phone numbers without a country code, by its two letters, such as US.")
]
_Redact = Annotated[
    bool, typer.Option("--redact", help="Replace e-mail addresses, numbers of phones and the like; leave out `name`.")
]


@styles.command("check")
def check(
    file: _File,
    format: _Format = None,
    map: _Map = None,
    validation: _Validation = None,
    max_length: _MaxLength = 2048,
    region: _Region = None,
    store: _Store = None,
    strict: _Strict = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what is wrong or doubtful in a file of conversations, by row, before anything is trained.

    Exit status 1 where rows can't be used, or, with --strict, where there is any warning. Without --store nothing is
    sent anywhere.
    """
    region = _read_region(region)
    name, content = _read(file, format, map)
    other = None if validation is None else _read(validation, format, map)[1]
    with Progress().line("checks") as line:
        report = check_import(name, content, other, max_length=max_length, region=region, tell=line.show)
    if store is not None:
        facts, unread = asyncio.run(_look_up(*find_connection(url, key, home), store, content.conversations))
        findings = [*report.findings, *describe_facts(facts, unread)]
        report = msgspec.structs.replace(report, findings=findings, facts=facts)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    _judge(report, strict=strict)


@styles.command("convert")
def convert(
    file: _File,
    out: _Out,
    format: _Format = None,
    map: _Map = None,
    redact: _Redact = False,
    region: _Region = None,
) -> None:
    """Write conversations of any format as OpenAI's JSONL, to be uploaded; rows that can't be used are left out."""
    region = _read_region(region)
    name, content = _read(file, format, map)
    rows = [redact_conversation(one, region) for one in content.conversations] if redact else content.conversations
    if not rows:
        raise CommandError(f"{file} has no conversation that can be used; 'braid styles check {file}' says why.")
    out.write_bytes(encode_conversations(rows))
    say(f"{out} has {format_count(len(rows), 'conversation')} of {FORMATS[name].label}.")
    _say_omitted(content)


@styles.command("rewrite")
def rewrite(
    file: _File,
    store: _FactStore,
    out: _Out,
    format: _Format = None,
    map: _Map = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
) -> None:
    """Give each row the passages that state the facts of its reply, so that it is learnt as an answer from them.

    Facts that stand nowhere, or that documents have changed since, stay as they are; 'braid styles check' names them.
    """
    _, content = _read(file, format, map)
    facts, _ = asyncio.run(_look_up(*find_connection(url, key, home), store, content.conversations))
    by_row: defaultdict[int, list[RowFact]] = defaultdict(list)
    for fact in facts:
        by_row[fact.row].append(fact)
    rows = [add_passages(one, by_row[one.number]) for one in content.conversations]
    out.write_bytes(encode_conversations(rows))
    new_rows = sum(new.passages != old.passages for new, old in zip(rows, content.conversations, strict=True))
    gaps = sum(fact.place in ("changed", "nowhere") for fact in facts)
    say(
        f"{out} has {format_count(len(rows), 'row')}, {new_rows} with passages that weren't there, and "
        f"{format_count(gaps, 'value has', 'values have')} none."
    )
    _say_omitted(content)


async def _look_up(url: str, key: str, store: str, conversations: Sequence[Conversation]) -> tuple[list[RowFact], int]:
    async with Client(url, key) as client:
        store_id = await get_store(client, store)
        with Progress().line("facts") as line:
            return await look_up_facts(
                client, store_id, conversations, lambda count: line.show(count, len(conversations))
            )


def _read_region(region: str | None) -> str | None:
    if region is not None and not is_region(region.upper()):
        raise CommandError(f"No region is called {region!r}. Give a country's two letters, such as US.", Exit.USAGE)
    return region.upper() if region else None


def _read(file: Path, format: str | None, map: Sequence[str] | None) -> tuple[str, Import]:
    columns: dict[str, str] = {}
    for pair in map or ():
        meaning, _, column = pair.partition("=")
        columns[meaning.strip()] = column
    try:
        return read_conversations(file.read_bytes(), format, columns)
    except UnusableFile as error:
        raise CommandError(f"{file}: {error}", Exit.USAGE) from None


def _print_report(report: CheckReport) -> None:
    rows: list[tuple[object, ...]] = []
    for finding in report.findings:
        numbers = [*map(str, finding.rows[:_NAMED_ROWS]), *(["…"] if finding.count > _NAMED_ROWS else [])]
        rows.append((finding.level, finding.check, finding.count, " ".join(numbers), finding.message))
    print_table(("level", "check", "count", "rows", "message"), rows)
    say(f"{report.format}: {report.usable} of {report.rows} rows can be used.")
    for reason, count in report.omitted.items():
        say(f"Left out: {count} {reason}")


def _say_omitted(content: Import) -> None:
    for reason, count in content.omitted.items():
        say(f"Left out: {count} {reason}")
    if content.problems:
        say(f"Left out: {format_count(len(content.problems), 'row')} that can't be used; 'braid styles check' says why")


def _judge(report: CheckReport, *, strict: bool) -> None:
    """End the command with a failure where the report asks for it."""
    errors, warnings = report.count("error"), report.count("warning")
    if not report.usable:
        raise CommandError("No row can be used.")
    if errors or (strict and warnings):
        raise CommandError(
            f"The check found {format_count(errors, 'error')} and {format_count(warnings, 'warning')}. "
            "Mend the rows that they name."
        )
