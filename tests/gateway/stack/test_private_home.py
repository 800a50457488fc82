"""Nobody else on the machine reads a home folder, whoever made it and however."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.stack.private_home import check_writable, keep_private
from gateway.terminal import CommandError


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_and_all_that_is_made_in_it_are_private(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    keep_private(home)
    (home / "artifacts").mkdir()
    (home / "artifacts" / "file").write_text("secret")
    assert [mode(home), mode(home / "artifacts"), mode(home / "artifacts" / "file")] == [0o700, 0o700, 0o600]


def test_a_home_from_before_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "artifacts" / "files").mkdir(parents=True)
    (home / "artifacts" / "files" / "a").write_text("secret")
    (home / "braid.db").write_text("secret")
    (home / "run").mkdir(mode=0o700)
    program = home / "models" / "run.sh"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    outside = tmp_path / "cache"
    outside.write_text("shared")
    (home / "models" / "link").symlink_to(outside)
    keep_private(home)
    for path in (home, *home.rglob("*")):
        assert path.is_symlink() or not mode(path) & 0o077, path
    assert mode(program) == 0o700
    assert mode(outside) == 0o644
    keep_private(home)  # again, with nothing to do


def test_other_things_in_the_folder_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "index").mkdir()
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    assert [mode(tmp_path), mode(tmp_path / "letters"), mode(tmp_path / "index")] == [0o755, 0o755, 0o700]


def test_a_home_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="--home"):
        keep_private(tmp_path / "file" / "home")


@pytest.mark.parametrize("part", ["artifacts", "braid.db", "."])
def test_what_can_not_be_written_is_named_with_what_to_do_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "braid.db").touch()
    check_writable(Settings(home=tmp_path))
    check_writable(Settings(home=tmp_path / "new" / "home"))
    shut = tmp_path / part
    monkeypatch.setattr("gateway.stack.private_home.os.access", lambda path, _mode: Path(path) != shut)
    with pytest.raises(CommandError, match=rf"{shut} can't be written.*--home or BRAID_HOME"):
        check_writable(Settings(home=tmp_path))
    away = Settings(home=tmp_path, database_url="postgresql+psycopg://db/braid", artifacts_url="file:///tmp")
    check_writable(away)
