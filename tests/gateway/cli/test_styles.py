import json
from pathlib import Path

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


async def test_warnings_fail_only_where_they_are_told_to(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n")
    assert (await run("styles", "check", str(tmp_path / "rows.jsonl"))).exit_code == Exit.OK
    done = await run("styles", "check", str(tmp_path / "rows.jsonl"), "--strict")
    assert done.exit_code == Exit.FAILED
    assert "1 warnings" in done.stderr


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


async def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("Hello")
    done = await run("styles", "check", str(tmp_path / "rows.txt"))
    assert done.exit_code == Exit.USAGE
    assert "--format" in done.stderr
