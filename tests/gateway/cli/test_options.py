from pathlib import Path

import pytest

from gateway.cli.options import find_connection, settings_from
from gateway.client import Profile
from gateway.terminal import CommandError, Exit


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


def test_a_wrong_setting_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_POTR", "80")
    with pytest.raises(CommandError, match="BRAID_PORT") as caught:
        settings_from()
    assert caught.value.exit is Exit.USAGE
