from pathlib import Path

import pytest

from gateway.cli.options import find_connection, settings_from
from gateway.client import Profile
from gateway.terminal import CommandError, Exit
from tests.gateway.cli.commands import run


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BRAID_URL", "BRAID_KEY", "BRAID_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_flags_go_before_environment_before_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    assert find_connection(None, None, tmp_path) == ("http://saved:1", "saved")
    monkeypatch.setenv("BRAID_URL", "http://environment:1/")
    monkeypatch.setenv("BRAID_KEY", "environment")
    assert find_connection(None, None, tmp_path) == ("http://environment:1", "environment")
    assert find_connection("http://flag:1", "flag", tmp_path) == ("http://flag:1", "flag")


def test_a_saved_key_is_sent_to_no_other_address(tmp_path: Path) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    with pytest.raises(CommandError) as caught:
        find_connection("http://other:1", None, tmp_path)
    assert caught.value.exit is Exit.DENIED


def test_without_a_gateway_the_way_to_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="braid up") as caught:
        find_connection(None, None, tmp_path)
    assert caught.value.exit is Exit.UNREACHABLE


def test_a_key_is_taken_without_the_end_of_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_KEY", " sk-braid-1\r\n")
    assert find_connection("http://flag:1", None, None) == ("http://flag:1", "sk-braid-1")


@pytest.mark.parametrize("key", ["sk-braid-…", "sk-\nbraid", "schlüssel"])
async def test_a_key_that_no_header_can_have_is_told(key: str) -> None:
    done = await run("docs", "list", "shelf", "--url", "http://127.0.0.1:9", "--key", key)
    assert done.exit_code == Exit.DENIED, done.output
    assert "Copy the whole of it again" in done.stderr


async def test_a_key_of_openai_s_that_no_header_can_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-…")
    done = await run("import", "openai", "export", "--live", *GATEWAY)
    assert done.exit_code == Exit.DENIED, done.output
    assert "Copy the whole of it again" in done.stderr


@pytest.mark.parametrize("url", ["http://localhost:eight/v1", "localhost:8080/v1"])
async def test_an_address_of_openai_s_that_can_be_none_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    done = await run("import", "openai", "export", "--live", *GATEWAY)
    assert done.exit_code == Exit.UNREACHABLE, done.output
    assert "is no address of an API" in done.stderr


@pytest.mark.parametrize(
    "url", ["http://localhost:eight", "http://lo\ncal", "http://xn--ü:1", "localhost", "localhost:8080", "ftp://desk"]
)
async def test_an_address_that_can_be_none_is_told(url: str) -> None:
    done = await run("docs", "list", "shelf", "--url", url, "--key", "x")
    assert done.exit_code == Exit.UNREACHABLE, done.output
    assert "is no address of a gateway" in done.stderr


def test_a_wrong_setting_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_POTR", "80")
    with pytest.raises(CommandError, match="BRAID_PORT") as caught:
        settings_from()
    assert caught.value.exit is Exit.USAGE


GATEWAY = ("--url", "http://127.0.0.1:9", "--key", "x")  # nobody is there, and nobody is asked
FILES = (
    ("styles", "convert", "rows.jsonl", "--out"),
    ("styles", "rewrite", "rows.jsonl", "--store", "docs", *GATEWAY, "--out"),
    ("styles", "write", "rows.jsonl", "--store", "docs", *GATEWAY, "--out"),
    ("advise", "--data", "rows.jsonl", *GATEWAY, "--page"),
    ("gate", "desk@1", *GATEWAY, "--page"),
)
FOLDERS = (
    ("eval", "retrieval", "--store", "docs", "--questions", "rows.jsonl", *GATEWAY, "--out"),
    ("diagnose", "desk@1", *GATEWAY, "--out"),
    ("import", "openai", "--live"),
)


@pytest.mark.parametrize(
    ("command", "place", "reason"),
    [
        *((command, "nowhere/report", "no folder nowhere") for command in FILES),
        *((command, "folder", "folder is a folder") for command in FILES),
        *((command, "rows.jsonl/report", "rows.jsonl is a file") for command in FOLDERS),
        *((command, "/proc/report", "/proc/report can't be written") for command in (*FILES, *FOLDERS)),
        *((command, "x" * 300, "File name too long") for command in (*FILES, *FOLDERS)),
        *((command, "full", "full/report.html is a folder") for command in FOLDERS),
    ],
)
async def test_a_place_that_cannot_be_written_is_told_before_the_work(
    command: tuple[str, ...], place: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "full" / "report.html").mkdir(parents=True)
    row = '{"messages": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]}'
    (tmp_path / "rows.jsonl").write_text(row)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    done = await run(*command, place)
    assert done.exit_code == Exit.USAGE, done.output
    assert reason in " ".join(done.stderr.replace("\u2502", " ").split())


@pytest.mark.parametrize("command", [*FILES, *FOLDERS])
@pytest.mark.parametrize("place", ["new", "folder/report.json"])
async def test_a_place_that_can_be_written_is_left_as_it_was_until_there_is_something_to_write(
    command: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "report.json").write_text("of before")
    (tmp_path / "rows.jsonl").write_text("{}")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    out = place if command in FILES else Path(place).parts[0]
    done = await run(*command, out)
    assert done.exit_code != Exit.OK
    assert "can't be written" not in done.stderr
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")}
    assert files == {"folder", "folder/report.json", "rows.jsonl"}
    assert (tmp_path / "folder" / "report.json").read_text() == "of before"


@pytest.mark.parametrize(
    "command",
    [
        ("styles", "check", "rows.jsonl", "--validation", "folder"),
        ("styles", "write", "folder", "--store", "docs", "--out", "x", *GATEWAY),
        ("diagnose", "desk@1", "--failures", "folder", *GATEWAY),
        ("import", "openai", "rows.jsonl", *GATEWAY),
    ],
)
async def test_a_folder_is_no_file_and_a_file_no_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.jsonl").write_text("{}")
    done = await run(*command)
    assert done.exit_code == Exit.USAGE, done.output
    assert "Traceback" not in done.output
