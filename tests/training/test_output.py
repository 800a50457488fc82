import os
import signal
import time
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.output import Cancelled, appearing, cancellable


def wait_after(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


def test_a_folder_appears_complete(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with cancellable(), appearing(out) as partial:
        (partial / "file").write_text("x")
        assert not out.exists()
    assert [entry.name for entry in out.iterdir()] == ["file"]
    assert [entry.name for entry in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), appearing(tmp_path / "out") as partial:
        partial.write_text("a folder takes no text")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_not_mixed_in(tmp_path: Path) -> None:
    left = tmp_path / "out.partial"
    (left / "folder").mkdir(parents=True)
    (left / "manifest.json").write_text("x")
    (left / "link").symlink_to("/")
    with cancellable(), appearing(tmp_path / "out") as partial:
        assert list(partial.iterdir()) == []


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    with cancellable(), appearing(tmp_path / "out") as partial:
        (partial / "file").write_text("x")
        with pytest.raises(TrainingError) as caught, appearing(tmp_path / "out"):
            pass
        assert caught.value.code == "output_busy"
    assert (tmp_path / "out" / "file").exists()


def test_a_finished_folder_is_never_written_again(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainingError) as caught, appearing(tmp_path / "out"):
        pass
    assert caught.value.code == "output_exists"


def test_a_signal_before_the_end_cancels(tmp_path: Path) -> None:
    with pytest.raises(Cancelled), cancellable(), appearing(tmp_path / "out"):
        wait_after(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_after_the_end_comes_too_late(tmp_path: Path) -> None:
    with cancellable():
        with appearing(tmp_path / "out"):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
    assert (tmp_path / "out").exists()
    with pytest.raises(Cancelled), cancellable():
        wait_after(signal.SIGINT)
