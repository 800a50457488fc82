import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.client import Profile
from gateway.settings import Settings
from gateway.stack.first_key import prepare_database, save_profile
from gateway.terminal import CommandError

KEY = "sk-braid-" + "k" * 40


async def test_the_first_run_makes_a_key_and_the_second_keeps_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    key = await prepare_database(settings)
    assert key is not None
    assert key.startswith("sk-braid-")
    assert await prepare_database(settings) is None


async def test_a_configured_key_is_not_shown_again(tmp_path: Path) -> None:
    assert await prepare_database(Settings(home=tmp_path, admin_key=SecretStr(KEY))) is None


async def test_a_database_of_a_newer_braid_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await prepare_database(settings)
    with sqlite3.connect(tmp_path / "braid.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(CommandError, match="9999"):
        await prepare_database(settings)


def test_a_new_key_goes_into_the_profile(tmp_path: Path) -> None:
    profile = save_profile(Settings(home=tmp_path, port=8123), "new")
    assert profile == Profile("http://127.0.0.1:8123", "new") == Profile.load(tmp_path)


def test_without_a_new_key_the_old_one_stays(tmp_path: Path) -> None:
    Profile("http://127.0.0.1:1", "old").save(tmp_path)
    assert save_profile(Settings(home=tmp_path), None).key == "old"


def test_a_configured_key_goes_before_all_others(tmp_path: Path) -> None:
    Profile("http://127.0.0.1:1", "old").save(tmp_path)
    assert save_profile(Settings(home=tmp_path, admin_key=SecretStr(KEY)), "new").key == KEY


def test_a_profile_may_be_without_a_key(tmp_path: Path) -> None:
    assert save_profile(Settings(home=tmp_path), None).key is None
