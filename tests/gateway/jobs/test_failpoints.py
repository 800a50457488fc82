"""Failpoints: nothing in an ordinary process, the end of one that a test kills, refused by one that serves."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.jobs import failpoint
from gateway.settings import SettingsError, load_settings

PROGRAM = "from gateway.jobs import failpoint; failpoint('one'); failpoint('two'); print('alive')"
ROOT = Path(__file__).parents[3]


def test_without_a_test_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRAID_FAILPOINT", raising=False)
    failpoint("claimed")


@pytest.mark.parametrize(("step", "status"), [("two", -signal.SIGKILL), ("three", 0)])
def test_the_step_that_is_named_kills_and_no_other(step: str, status: int) -> None:
    environment = {"BRAID_FAILPOINT": step, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=False)
    assert done.returncode == status
    assert (b"alive" in done.stdout) is (status == 0)


def test_a_process_that_serves_refuses_to_start_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_FAILPOINT", "claimed")
    with pytest.raises(SettingsError, match="BRAID_FAILPOINT"):
        load_settings()
