import sys
import time

import pytest
from rich.table import Table

from gateway import progress as module
from gateway.progress import Progress


def test_steps_are_numbered_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.step("start", "Start"):
        progress.tell("one\ntwo")
    with progress.step("documents", "Documents"):
        pass
    assert list(progress.seconds) == ["start", "documents"]
    lines = capsys.readouterr().err.splitlines()
    assert "1. Start" in lines
    assert "2. Documents" in lines
    assert "   one" in lines
    assert "   two" in lines


def test_each_step_says_how_long_the_rest_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(lambda finished: 600.0 - 540.0 * len(finished))
    with progress.step("start", "Start"):
        pass
    with progress.step("swap", "Swap"):
        pass
    output = capsys.readouterr().err
    assert "1. Start  (about 10 minutes to go)" in output
    assert "2. Swap  (about a minute to go)" in output


def test_text_to_be_copied_is_neither_indented_nor_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"python - <<'EOF'\nprint({'x' * 300!r})\nEOF"
    Progress().tell_as_is(text)
    assert capsys.readouterr().err == f"{text}\n"


def test_a_step_that_fails_has_no_time() -> None:
    progress = Progress()
    with pytest.raises(RuntimeError), progress.step("start", "Start"):
        raise RuntimeError
    assert progress.seconds == {}


def test_without_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress().line("training") as line:
        line.show(1, 10)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(module, "_LINE_SECONDS", 0.0)
        line.show(2, 10, "loss 0.50")
    assert capsys.readouterr().err == "   training: 2 of 10 loss 0.50\n"


def test_on_a_terminal_a_bar_moves(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress().line("training") as line:
        line.show(1, 10, "loss 0.50")
    assert "training" in capsys.readouterr().err


def test_tables_are_drawn_and_time_runs(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    table = Table("variant")
    table.add_row("both")
    progress.print(table)
    time.sleep(0.11)
    assert "both" in capsys.readouterr().err
    assert progress.measure_elapsed() >= 0.1
