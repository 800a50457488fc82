import asyncio
import errno
import importlib.metadata
import json
import os
import socket
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.doctor import Level, documents, machine, parts
from gateway.cli.doctor.command import examine
from gateway.settings import Settings
from gateway.stack.instance import Instance
from gateway.terminal import Exit
from tests.fakes.passages import FakePassages
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.ports import find_port


def test_an_old_python_is_broken() -> None:
    assert machine.check_python((3, 10, 4)).level is Level.BROKEN
    assert machine.check_python((3, 11, 0)).level is Level.OK


def test_one_core_is_a_warning() -> None:
    assert machine.check_cores(1).level is Level.WARNING
    assert machine.check_cores(2).level is Level.OK


@pytest.mark.parametrize(("gib", "level"), [(2, Level.BROKEN), (9, Level.WARNING), (20, Level.OK)])
def test_little_memory_is_found(tmp_path: Path, gib: int, level: Level) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {gib * 1024**2} kB\n")
    assert machine.check_memory(tmp_path / "meminfo").level is level


@pytest.mark.parametrize(("gib", "level"), [(2, Level.WARNING), (6, Level.WARNING), (9, Level.OK)])
def test_memory_that_this_homes_own_braid_has_taken_is_not_missed(tmp_path: Path, gib: int, level: Level) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {gib * 1024**2} kB\n")
    finding = machine.check_memory(tmp_path / "meminfo", running=True)
    assert finding.level is level
    assert "beside this home's own Braid" in finding.message
    with Instance.only(tmp_path):
        found = {finding.name: finding for finding in examine(Settings(home=tmp_path, model_python=tmp_path / "none"))}
    assert "beside this home's own Braid" in found["memory"].message


def test_a_home_that_can_not_be_looked_into_is_one_finding_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path / "file")])
    assert (done.exit_code, done.exception.__class__) == (Exit.FAILED, SystemExit)
    assert f"broken  home: {tmp_path / 'file'} can't be written: Not a directory." in done.stdout
    assert "gateway: Braid" in done.stdout
    assert "base model:" not in done.stdout, "nothing can be known of what is in there"


def test_a_home_of_somebody_else_is_a_finding_where_only_other_things_in_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "notes").touch()
    assert machine.is_open(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path / "run")
    names = [finding.name for finding in examine(Settings(home=tmp_path, model_python=tmp_path / "none"))]
    assert ("home" in names, "base model" in names) == (True, False)


def test_a_folder_of_somebody_else_on_the_way_to_the_home_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, stat_of = tmp_path / "shut", os.stat
    shut.mkdir()

    def refuse_below(path: str | Path, **options: bool) -> os.stat_result:
        if shut in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat_of(path, **options)

    monkeypatch.setattr(os, "stat", refuse_below)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != shut)
    assert machine.check_disk(shut / "home").message.endswith(str(shut))
    names = [finding.name for finding in examine(Settings(home=shut / "home", model_python=tmp_path / "none"))]
    assert ("home" in names, "base model" in names) == (True, False)


def test_a_home_that_is_a_file_is_broken_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.check_home(tmp_path / "file" / "home").level is Level.BROKEN
    assert machine.check_home(tmp_path / "new" / "home").level is Level.OK
    assert not (tmp_path / "new").exists()


def test_a_home_too_deep_for_a_socket_is_broken(tmp_path: Path) -> None:
    finding = machine.check_home(tmp_path / ("x" * 100))
    assert finding.level is Level.BROKEN
    assert "Unix socket" in finding.message


def test_a_port_in_use_is_broken_unless_it_is_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(home=tmp_path, port=taken.getsockname()[1], engine_urls=("http://elsewhere",))
        finding = machine.check_ports(settings)
        assert finding.level is Level.BROKEN
        assert "--port" in finding.fix
        with Instance.only(tmp_path):
            assert machine.check_ports(settings).level is Level.OK


def test_a_taken_admin_port_is_worth_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"port": find_port(), "admin_port": taken.getsockname()[1]}
        finding = machine.check_ports(Settings(home=tmp_path, engine_urls=("http://elsewhere",), **ports))
    assert finding.level is Level.WARNING
    assert "BRAID_ADMIN_PORT" in finding.fix


def test_the_gateway_check_says_the_version() -> None:
    finding = parts.check_gateway()
    assert finding.level is Level.OK
    assert f"Braid {importlib.metadata.version('braid-gateway')}," in finding.message


def test_a_missing_model_environment_names_the_make_target(tmp_path: Path) -> None:
    finding = parts.check_model_environment(tmp_path / "none" / "python")
    assert finding.level is Level.BROKEN
    assert "make env-model" in finding.fix


def test_an_environment_without_an_engine_is_broken(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho \'{"torch": "2.13.0", "peft": "0.21.2"}\'\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    finding = parts.check_model_environment(python)
    assert finding.level is Level.BROKEN
    assert "vllm, transformers" in finding.message
    python.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    assert "no such module" in parts.check_model_environment(python).message


def test_a_base_model_that_is_not_there_is_broken(tmp_path: Path) -> None:
    assert parts.check_base_model(Settings(home=tmp_path)).level is Level.OK
    assert parts.check_base_model(Settings(home=tmp_path, base_model="./no/model")).level is Level.BROKEN


async def test_engines_elsewhere_are_asked(engine: FakeVllm) -> None:
    settings = Settings(engine_urls=(engine.url,))

    async def level() -> Level:
        (finding,) = await asyncio.to_thread(parts.check_engine, settings)
        return finding.level

    assert await level() is Level.OK
    engine.corrupted = 3
    (finding,) = await asyncio.to_thread(parts.check_engine, settings)
    assert finding.level is Level.WARNING
    assert "3 requests" in finding.message
    engine.healthy = False
    assert await level() is Level.BROKEN
    await engine.stop()
    assert await level() is Level.BROKEN


async def test_a_large_embedded_index_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    assert (await asyncio.to_thread(documents.check_index, settings)).level is Level.OK
    async with FakePassages(settings.retriever_socket):
        assert (await asyncio.to_thread(documents.check_index, settings)).level is Level.OK
        monkeypatch.setattr(documents, "_EMBEDDED_CHUNKS", -1)
        finding = await asyncio.to_thread(documents.check_index, settings)
        assert finding.level is Level.WARNING
        assert "braid docs move --to" in finding.fix


async def test_an_index_that_its_server_refuses_is_broken(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, qdrant_url="http://127.0.0.1:6333")
    async with FakePassages(settings.retriever_socket) as retriever:
        retriever.failing, retriever.code = True, "index_unavailable"
        finding = await asyncio.to_thread(documents.check_index, settings)
        assert (finding.level, "told to fail" in finding.message) == (Level.BROKEN, True)
        assert (await asyncio.to_thread(documents.check_documents, settings)).level is Level.OK
        retriever.code = "retriever_unavailable"
        assert (await asyncio.to_thread(documents.check_index, settings)).level is Level.OK


async def test_an_index_without_room_is_broken(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, qdrant_url="http://127.0.0.1:6333")
    async with FakeRetriever(settings.retriever_socket) as retriever:
        retriever.problem = "The Qdrant server has no room for more."
        finding = await asyncio.to_thread(documents.check_index, settings)
        assert (finding.level, "no room" in finding.message) == (Level.BROKEN, True)


async def test_an_index_that_was_set_aside_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "index" / "braid-words.unreadable-1").mkdir(parents=True)
    finding = await asyncio.to_thread(documents.check_index, Settings(home=tmp_path))
    assert finding.level is Level.WARNING
    assert "braid docs reindex" in finding.fix


def test_every_finding_that_is_not_ok_has_a_fix(tmp_path: Path) -> None:
    for finding in examine(Settings(home=tmp_path, model_python=tmp_path / "none")):
        assert (finding.level is Level.OK) == (finding.fix == "")


def test_the_command_fails_when_something_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_MODEL_PYTHON", str(tmp_path / "none"))
    done = CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path)])
    assert done.exit_code == Exit.FAILED
    shown = json.loads(done.stdout)
    assert shown["ok"] is False
    assert any(finding["name"] == "models" and finding["fix"] for finding in shown["findings"])


def test_settings_that_cannot_be_used_are_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_POTR", "80")
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])
    assert done.exit_code == Exit.FAILED
    assert "BRAID_PORT" in done.stdout
