import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.terminal import Exit
from tests.gateway.cli.commands import run

ROW = {"messages": [{"role": "user", "content": "How long?"}, {"role": "assistant", "content": "A year, dear friend."}]}
TABLE = "Frage,Antwort\nHow long?,A year. Write to anna@kestrel.example\nHow much?,\n"
MAP = ["--map", "question=Frage", "--map", "reply=Antwort"]


async def test_a_sound_file_passes_without_a_gateway(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    done = await run("styles", "check", str(tmp_path / "rows.jsonl"), "--strict")
    assert done.exit_code == Exit.OK, done.stderr
    assert "openai: 1 of 1 rows can be used." in done.stderr
    assert done.stdout == ""


async def test_findings_are_lines_for_people_and_json_for_programs(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TABLE)
    done = await run("styles", "check", str(tmp_path / "rows.csv"), *MAP)
    assert done.exit_code == Exit.FAILED
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["error", "no_final_reply", "1", "2"],
        ["warning", "private_data", "1", "1"],
    ]
    done = await run("styles", "check", str(tmp_path / "rows.csv"), *MAP, "--json")
    report = json.loads(done.stdout)
    assert (report["format"], report["rows"], report["usable"]) == ("csv", 2, 1)
    assert [finding["rows"] for finding in report["findings"]] == [[2], [1]]


async def test_what_was_cut_from_a_ticket_systems_messages_is_told(tmp_path: Path) -> None:
    signed = "A year.\n\n-- \nAnna Smith\n+44 20 7946 0000"
    quoting = "How long?\n\nOn 2 Jan 2026 at 10:12, Bo <bo@example.com> wrote:\n> Which one?"
    comments = [
        {"author_id": author, "plain_body": body, "public": number < 2, "created_at": f"2026-01-01T1{number}:00:00Z"}
        for number, (author, body) in enumerate([(5, quoting), (9, signed), (9, "Call Bo.")])
    ]
    ticket = {"id": 1, "requester_id": 5, "assignee_id": 9, "comments": comments}
    (tmp_path / "tickets.json").write_text(json.dumps({"tickets": [ticket]}))
    done = await run("styles", "check", str(tmp_path / "tickets.json"), "--json")
    cut = {"quoted mails": 1, "signatures": 1}
    assert json.loads(done.stdout)["omitted"] == {"internal notes": 1, **cut}
    out = ["-o", str(tmp_path / "out.jsonl")]
    for command in (["check"], ["convert", *out]):
        done = await run("styles", command[0], str(tmp_path / "tickets.json"), *command[1:])
        assert all(f"Left out: {count} {part}" in done.stderr for part, count in cut.items())
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert [turn["content"] for turn in row["messages"]] == ["How long?", "A year."]


async def test_warnings_fail_only_where_they_are_told_to(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n")
    assert (await run("styles", "check", str(tmp_path / "rows.jsonl"))).exit_code == Exit.OK
    done = await run("styles", "check", str(tmp_path / "rows.jsonl"), "--strict")
    assert done.exit_code == Exit.FAILED
    assert "0 errors and 1 warning." in done.stderr


async def test_rows_of_the_validation_file_that_are_trained_on_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    both = [str(tmp_path / "rows.jsonl"), "--validation", str(tmp_path / "rows.jsonl")]
    done = await run("styles", "check", *both)
    assert "leakage" in done.stdout


async def test_conversations_are_converted_and_redacted(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TABLE)
    out = tmp_path / "out.jsonl"
    done = await run("styles", "convert", str(tmp_path / "rows.csv"), "-o", str(out), "--redact", *MAP)
    assert done.exit_code == Exit.OK, done.stderr
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["messages"][1]["content"] == "A year. Write to [e-mail]"


@pytest.mark.parametrize("passages", [None, [{"title": "Warranty", "text": "A year."}]])
@pytest.mark.parametrize("kind", ["chat", "preference"])
async def test_a_converted_row_still_says_which_model_wrote_it(tmp_path: Path, kind: str, passages: Any) -> None:
    own = {"written_by": "base"} if passages is None else {"passages": passages, "written_by": "base"}
    question, reply = ROW["messages"]
    pair = {"preferred_output": [reply], "non_preferred_output": [{**reply, "content": "Hm."}]}
    row = ROW if kind == "chat" else {"input": {"messages": [question]}, **pair}
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(one) for one in ({**row, "braid": own}, row)))
    out = tmp_path / "out.jsonl"
    done = await run("styles", "convert", str(tmp_path / "rows.jsonl"), "-o", str(out), "--redact")
    assert done.exit_code == Exit.OK, done.stderr
    assert [json.loads(line).get("braid") for line in out.read_text().splitlines()] == [own, None]


async def test_a_region_finds_its_own_phone_numbers(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "At 4155552671."}]}'
    )
    done = await run("styles", "check", str(path), "--json")
    assert json.loads(done.stdout)["findings"] == []
    done = await run("styles", "check", str(path), "--json", "--region", "us")
    assert [one["details"]["kind"] for one in json.loads(done.stdout)["findings"]] == ["phone"]
    assert (
        await run("styles", "convert", str(path), "-o", str(out), "--redact", "--region", "US")
    ).exit_code == Exit.OK
    assert "At [phone]." in out.read_text()
    assert (await run("styles", "check", str(path), "--region", "XX")).exit_code == Exit.USAGE


PARQUET: dict[str, list[Any]] = {
    "Ticket": [7, 8, 9],  # numbers, as exports have them
    "Frage": ["How long?", "How much?", "Where?"],
    "Antwort": ["A year. Write to anna@kestrel.example", None, "Here."],
    "Datum": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
    "Marken": [["a"], [], None],
}


def write_parquet(path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(PARQUET), path)


@pytest.mark.parametrize("reader", ["pyarrow", "stand-in"])
async def test_a_parquet_file_is_converted_by_its_map(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pyarrow, which is 166 MB and optional, where it is installed; else with what stands for its one function."""
    if reader == "pyarrow":
        write_parquet(tmp_path / "rows.parquet")
    else:
        (tmp_path / "rows.parquet").write_bytes(b"PAR1 and so on PAR1")
        rows = [dict(zip(PARQUET, row, strict=True)) for row in zip(*PARQUET.values(), strict=True)]
        table = SimpleNamespace(to_pylist=lambda: rows)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", cast("Any", SimpleNamespace(read_table=lambda _: table)))
    out = tmp_path / "out.jsonl"
    command = ["styles", "convert", str(tmp_path / "rows.parquet"), "-o", str(out), "--redact"]
    done = await run(*command, *MAP, "--map", "conversation=Ticket")
    assert done.exit_code == Exit.OK, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["messages"][1]["content"] for row in rows] == ["A year. Write to [e-mail]", "Here."]
    assert [row["messages"][0]["content"] for row in rows] == ["How long?", "Where?"]
    unmapped = await run(*command, "--map", "question=Nichts")
    assert (unmapped.exit_code, "There is no column 'Nichts'" in unmapped.stderr) == (Exit.USAGE, True)


async def test_a_parquet_file_without_pyarrow_says_how_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and so on PAR1")
    done = await run("styles", "convert", str(tmp_path / "rows.parquet"), "-o", str(tmp_path / "out.jsonl"), *MAP)
    assert done.exit_code == Exit.USAGE
    assert "uv pip install pyarrow" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


async def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("Hello")
    done = await run("styles", "check", str(tmp_path / "rows.txt"))
    assert done.exit_code == Exit.USAGE
    assert "--format" in done.stderr
