import json
import stat
from pathlib import Path

from gateway.client import Profile


def test_a_profile_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    Profile("http://here:1", "secret").save(tmp_path)
    Profile("http://here:2", "secret").save(tmp_path)
    file = Profile.locate_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": "http://here:2", "key": "secret"}
    assert [path.name for path in file.parent.iterdir()] == ["client.json"]


def test_without_a_file_there_is_no_profile(tmp_path: Path) -> None:
    assert Profile.load(tmp_path) is None


def test_a_damaged_profile_counts_as_none(tmp_path: Path) -> None:
    Profile("http://saved:1", "saved").save(tmp_path)
    Profile.locate_file(tmp_path).write_text("{")
    assert Profile.load(tmp_path) is None
