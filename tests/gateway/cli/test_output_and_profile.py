import json
import stat
from pathlib import Path

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.options import connection
from gateway.cli.output import talk
from gateway.cli.profile import Profile


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BRAID_URL", "BRAID_KEY", "BRAID_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_profile_is_its_owners_only(tmp_path: Path) -> None:
    Profile("http://here:1", "secret").save(tmp_path)
    Profile("http://here:2", "secret").save(tmp_path)
    file = Profile.file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": "http://here:2", "key": "secret"}
    assert [path.name for path in file.parent.iterdir()] == ["client.json"]


def test_flags_go_before_environment_before_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    assert connection(None, None, tmp_path) == ("http://saved:1", "saved")
    monkeypatch.setenv("BRAID_URL", "http://environment:1/")
    monkeypatch.setenv("BRAID_KEY", "environment")
    assert connection(None, None, tmp_path) == ("http://environment:1", "environment")
    assert connection("http://flag:1", "flag", tmp_path) == ("http://flag:1", "flag")


def test_a_saved_key_is_sent_to_no_other_address(tmp_path: Path) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    with pytest.raises(CliError) as caught:
        connection("http://other:1", None, tmp_path)
    assert caught.value.exit is Exit.DENIED


def test_without_a_gateway_the_way_to_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="braid up") as caught:
        connection(None, None, tmp_path)
    assert caught.value.exit is Exit.UNREACHABLE


def test_a_damaged_profile_counts_as_none(tmp_path: Path) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    Profile.file(tmp_path).write_text("{")
    assert Profile.load(tmp_path) is None


def test_names_between_colons_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    talk().print("ft:base:kestrel:house:15f0a568", markup=False)
    assert capsys.readouterr().err == "ft:base:kestrel:house:15f0a568\n"
