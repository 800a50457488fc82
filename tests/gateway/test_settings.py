import re
from pathlib import Path

import pytest

from gateway.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_beat_environment_beats_file_beats_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "braid.toml").write_text('port = 1\nhost = "file"\nbase_model = "file"\n')
    monkeypatch.setenv("BRAID_HOST", "environment")
    monkeypatch.setenv("BRAID_BASE_MODEL", "environment")
    settings = load_settings({"base_model": "flag", "home": None})
    assert (settings.port, settings.host, settings.base_model) == (1, "environment", "flag")
    assert settings.home == Path(".braid")


def test_an_unknown_key_is_an_error_with_a_suggestion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "braid.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match=r"Did you mean port\?"):
        load_settings()
    (tmp_path / "braid.toml").unlink()
    monkeypatch.setenv("BRAID_ENGINE_URL", "http://x")
    with pytest.raises(SettingsError, match=r"Did you mean BRAID_ENGINE_URLS\?"):
        load_settings()


def test_a_wrong_value_names_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_PORT", "eighty")
    with pytest.raises(SettingsError, match="port"):
        load_settings()


@pytest.mark.parametrize("rank", ["0", "-1", "2", "24", "48", "513", "1024"])
def test_a_rank_that_no_engine_starts_with_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    monkeypatch.setenv("BRAID_MAX_LORA_RANK", rank)
    with pytest.raises(SettingsError, match=r"max_lora_rank.* 1, 8, 16, 32, 64, 128, 256, 320, 512"):
        load_settings()


def test_the_ranks_are_those_of_the_installed_vllm() -> None:
    sources = list((Path(__file__).parents[2] / ".venv-model").glob("lib/python3*/site-packages/vllm/config/lora.py"))
    if not sources:
        pytest.skip("vLLM isn't installed here")
    ranks = re.search(r"MaxLoRARanks = Literal\[([\d, ]+)\]", sources[0].read_text())
    assert ranks is not None
    for rank in map(int, ranks[1].split(",")):
        assert load_settings({"max_lora_rank": rank}).max_lora_rank == rank


def test_a_secret_may_come_from_a_file_and_never_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-braid-something-long\n")
    monkeypatch.setenv("BRAID_ADMIN_KEY_FILE", str(tmp_path / "key"))
    settings = load_settings()
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "sk-braid-something-long"
    assert "something" not in repr(settings)


def test_engine_urls_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_ENGINE_URLS", "http://a:1/, http://b:2")
    assert load_settings().replica_urls == ("http://a:1", "http://b:2")


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "http://a..b:1", "http://a:1/#x", "http://a:0"])
def test_an_engine_url_that_cannot_be_asked_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BRAID_ENGINE_URLS", f"http://b:2,{url}")
    with pytest.raises(SettingsError, match=r"engine_urls can't be used: "):
        load_settings()


def test_a_password_in_an_engine_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_ENGINE_URLS", "http://user:word@a:1")
    with pytest.raises(SettingsError, match="name and password") as caught:
        load_settings()
    assert "word@" not in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "braid.toml").write_text("port =\n")
    with pytest.raises(SettingsError, match=r"braid\.toml"):
        load_settings()


def test_only_folders_hold_artifacts(tmp_path: Path) -> None:
    settings = load_settings({"artifacts_url": "s3://bucket"})
    with pytest.raises(SettingsError, match="BRAID_ARTIFACTS_URL"):
        _ = settings.artifacts


def test_a_shared_database_with_an_index_of_each_machine_is_refused() -> None:
    server = "postgresql+psycopg://braid@db/braid"
    with pytest.raises(SettingsError, match="qdrant_url"):
        load_settings({"database_url": server})
    assert load_settings({"database_url": server, "qdrant_url": "http://qdrant:6333"}).database == server
    assert load_settings({"database_url": "sqlite+aiosqlite:////srv/braid.db"}).qdrant_url == ""
