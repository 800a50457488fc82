import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from gateway.terminal import configure_logs, open_console, print_json, print_table, say


def test_names_between_colons_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    open_console().print("ft:base:kestrel:voice:15f0a568", markup=False)
    assert capsys.readouterr().err == "ft:base:kestrel:voice:15f0a568\n"


def test_talk_goes_to_stderr_and_data_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    say("working")
    print_json({"answer": 42})
    captured = capsys.readouterr()
    assert captured.err == "working\n"
    assert json.loads(captured.out) == {"answer": 42}


def test_a_table_for_a_program_has_tabs_and_its_header_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("document", "version"), [("a.md", 1), ("b.md", 2)])
    assert capsys.readouterr() == ("a.md\t1\nb.md\t2\n", "document\tversion\n")


def test_a_table_for_a_person_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("document", "version"), [("a.md", 1)])
    header, row = capsys.readouterr().out.splitlines()
    assert "document" in header
    assert "\t" not in header + row
    assert row.split() == ["a.md", "1"]


@pytest.fixture
def logs() -> Iterator[None]:
    """Undo what `configure_logs` does to the whole process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logs")
def test_logs_are_json_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("job_ended", job="job_1")
    structlog.get_logger().debug("not_at_this_level")
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["job"], entry["level"]) == ("job_ended", "job_1", "info")


@pytest.mark.usefixtures("logs")
def test_quiet_logs_have_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", quiet=True)
    structlog.get_logger().warning("slow")
    structlog.get_logger().error("lost")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["lost"]
