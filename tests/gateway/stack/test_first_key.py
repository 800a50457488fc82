import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.client import Profile
from gateway.db import open_database
from gateway.settings import Settings
from gateway.stack.first_key import make_first_key, prepare_database
from gateway.tenants.authenticator import digest_key
from gateway.tenants.repository import find_key
from gateway.terminal import CommandError

KEY = "sk-braid-" + "k" * 40


async def test_the_first_run_makes_a_key_and_the_second_keeps_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=8123)
    await prepare_database(settings)
    profile, is_new = await make_first_key(settings)
    assert is_new
    assert profile.url == "http://127.0.0.1:8123"
    assert profile.key is not None
    assert profile.key.startswith("sk-braid-")
    assert profile == Profile.load(tmp_path)
    assert await make_first_key(settings) == (profile, False)


async def test_a_start_that_fails_makes_no_key_that_nobody_saw(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)
    assert Profile.load(tmp_path) is None  # a part didn't come up, or Ctrl-C
    await prepare_database(settings)
    assert (await make_first_key(settings))[1]


async def test_a_key_that_could_not_be_saved_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Profile, "save", refuse)
        with pytest.raises(OSError, match="No space"):
            await make_first_key(settings)
    assert (await make_first_key(settings))[1]


async def test_a_configured_key_counts_from_the_start_and_is_never_new(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, admin_key=SecretStr(KEY))
    Profile("http://127.0.0.1:1", "old").save(tmp_path)
    await prepare_database(settings)
    async with open_database(settings.database) as database, database.read() as session:
        assert await find_key(session, digest_key(KEY)) is not None
    assert await make_first_key(settings) == (Profile("http://127.0.0.1:8080", KEY), False)


async def test_a_database_of_a_newer_braid_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)
    with sqlite3.connect(tmp_path / "braid.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(CommandError, match="9999"):
        await prepare_database(settings)


async def test_a_key_that_is_kept_here_stays(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)
    profile, _ = await make_first_key(settings)
    moved, is_new = await make_first_key(Settings(home=tmp_path, port=8124))
    assert (moved.url, moved.key, is_new) == ("http://127.0.0.1:8124", profile.key, False)


async def test_a_profile_may_be_without_a_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)
    await make_first_key(settings)
    Profile.locate_file(tmp_path).unlink()
    profile, is_new = await make_first_key(settings)
    assert (profile.key, is_new) == (None, False)
