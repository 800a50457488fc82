import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from training.cancellation import Cancelled, cancel_on_signals
from training.errors import TrainingError
from training.output import atomic_folder


def wait_after(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


def test_a_folder_appears_complete(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with atomic_folder(out) as partial:
        (partial / "file").write_text("x")
        assert not out.exists()
    assert [entry.name for entry in out.iterdir()] == ["file"]
    assert [entry.name for entry in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), atomic_folder(tmp_path / "out") as partial:
        partial.write_text("a folder takes no text")
    assert list(tmp_path.iterdir()) == []


def test_files_that_a_killed_run_left_are_removed_first(tmp_path: Path) -> None:
    left = tmp_path / "out.partial"
    (left / "folder").mkdir(parents=True)
    (left / "manifest.json").write_text("x")
    (left / "link").symlink_to("/")
    with atomic_folder(tmp_path / "out") as partial:
        assert list(partial.iterdir()) == []


def test_two_runs_cannot_write_one_folder_at_once(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as partial:
        (partial / "file").write_text("x")
        with pytest.raises(TrainingError) as caught, atomic_folder(tmp_path / "out"):
            pass
        assert caught.value.code == "output_busy"
    assert (tmp_path / "out" / "file").exists()


def test_a_finished_folder_is_never_written_again(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainingError) as caught, atomic_folder(tmp_path / "out"):
        pass
    assert caught.value.code == "output_exists"


def test_a_signal_before_the_end_cancels_the_run(tmp_path: Path) -> None:
    with pytest.raises(Cancelled), cancel_on_signals(), atomic_folder(tmp_path / "out"):
        wait_after(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_after_the_end_is_ignored(tmp_path: Path) -> None:
    with cancel_on_signals() as seal:
        with atomic_folder(tmp_path / "out", seal):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
    assert (tmp_path / "out").exists()
    with pytest.raises(Cancelled), cancel_on_signals():
        wait_after(signal.SIGINT)


def test_signals_are_the_hosts_again_afterwards_and_never_touched_by_a_folder(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with atomic_folder(tmp_path / "out"):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    with cancel_on_signals() as seal:
        seal()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_folder_appears_in_any_thread(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_folder(tmp_path / "out") as partial:
            (partial / "file").write_text("x")

    with ThreadPoolExecutor(1) as threads:
        threads.submit(write).result()
    assert (tmp_path / "out" / "file").exists()


def test_a_place_where_no_folder_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match="Not a directory") as caught, atomic_folder(tmp_path / "file" / "out"):
        pass
    assert caught.value.code == "output_unwritable"


def fail_in_folder(out: Path, name: str) -> list[str]:
    """Write a file and fail; return the files that were there before."""
    before: list[str] = []
    with suppress(RuntimeError), atomic_folder(out, resume=name) as partial:
        before += [file.name for file in partial.iterdir() if not file.name.startswith(".")]
        (partial / "file").write_text(name)
        raise RuntimeError
    return before


def test_what_can_be_gone_on_with_is_kept_for_its_like_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, expected in (("one", []), ("one", ["file"]), ("other", [])):
        assert fail_in_folder(out, name) == expected
    with atomic_folder(out, resume="other") as partial:
        assert (partial / "file").read_text() == "other"
    assert [file.name for file in out.iterdir()] == ["file"]
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "empty", resume="one"):
        raise RuntimeError  # nothing to go on with
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
