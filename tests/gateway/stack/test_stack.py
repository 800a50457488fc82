import multiprocessing
import os
import socket
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.training_traits import read_training_traits
from gateway.processes import GATEWAY, WORKER
from gateway.settings import Settings, load_settings
from gateway.stack.base_model import choose_public_name, prepare_base_model
from gateway.stack.children import make_child_environment
from gateway.stack.instance import Instance, find_free_ports, is_free
from gateway.terminal import CommandError, Exit
from tests.fakes.peft import write_base
from tests.training.chat_templates import NO_SYSTEM
from training.verdict import BaseShape


def test_a_home_has_one_instance(tmp_path: Path) -> None:
    assert Instance.find_process(tmp_path) is None
    with Instance.only(tmp_path):
        assert Instance.find_process(tmp_path) == os.getpid()
        with pytest.raises(CommandError, match="running already") as caught, Instance.only(tmp_path):
            pass
        assert caught.value.exit is Exit.CONFLICT
    assert Instance.find_process(tmp_path) is None
    with Instance.only(tmp_path):
        pass


def _hold(home: Path, pipe: Connection) -> None:
    with Instance.only(home):
        pipe.send(True)
        pipe.recv()


def test_a_killed_instance_releases_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(tmp_path, theirs))
    process.start()
    assert mine.recv()
    assert Instance.find_process(tmp_path) == process.pid
    process.kill()
    process.join()
    assert Instance.find_process(tmp_path) is None


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert find_free_ports("127.0.0.1", port, 2) > port


def test_a_child_understands_the_settings_as_they_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "braid.toml").write_text('port = 9000\nbase_model_name = "from-file"\n')
    settings = load_settings({"port": 8080, "home": "home"})
    settings = settings.model_copy(update={"engine_urls": ("http://a", "http://b")})
    environment = make_child_environment(
        settings, GATEWAY, {"PATH": "/bin", "BRAID_ADMIN_KEY": "secret", "BRAID_PORT": "1"}
    )
    assert environment["PATH"] == "/bin"
    assert "secret" not in environment.values()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    child = load_settings()
    assert child == settings.model_copy(update={"home": tmp_path / "home"})


@pytest.mark.parametrize(
    ("source", "name", "public"),
    [
        ("", "", "smollm2-135m-instruct"),
        ("", "house", "house"),
        ("Qwen/Qwen3-0.6B", "", "Qwen/Qwen3-0.6B"),
        ("./models/mine/", "", "mine"),
    ],
)
def test_the_public_name_follows_from_the_source(source: str, name: str, public: str) -> None:
    assert choose_public_name(Settings(base_model=source, base_model_name=name)) == public


def _program(file: Path, lines: str) -> Path:
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return file


async def test_the_base_model_is_described_in_one_file(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    python = _program(tmp_path / "python", f'echo noise >&2; echo \'{{"directory": "{base}"}}\'')
    settings = Settings(home=tmp_path / "home", model_python=python, base_model=str(base), base_model_name="house")
    settings.home.joinpath("run").mkdir(parents=True)
    told: list[str] = []
    base_model = await prepare_base_model(settings, "float32", told.append)
    assert ServedBaseModel.load(settings) == base_model
    assert (base_model.name, base_model.path) == ("house", str(base))
    assert str(base) in base_model.names
    assert base_model.chat_template_digest == BaseShape.read(base).chat_template_digest
    assert not base_model.folds_system
    assert base_model.training == msgspec.structs.replace(read_training_traits(base), variables=None)
    assert (base_model.markers, base_model.markers_digest) == (None, "")
    (base / "tokenizer.json").write_text('{"added_tokens": [{"id": 1, "content": "§END§", "special": true}]}')
    (base / "chat_template.jinja").write_text(NO_SYSTEM)
    base_model = await prepare_base_model(settings, "float32", told.append)
    assert base_model.folds_system
    assert base_model.markers == ("<|im_end|>", "<|im_start|>", "§END§")
    assert ServedBaseModel.load(settings) == base_model


async def test_the_bytes_of_a_download_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_base(tmp_path / "base")
    progress = '{"event": "progress", "bytes": 1250000000, "total": 15000000000}'
    lines = f"echo '{progress}'; sleep 0.5; echo '{{\"directory\": \"{base}\"}}'"
    settings = Settings(home=tmp_path / "home", model_python=_program(tmp_path / "python", lines))
    settings.home.joinpath("run").mkdir(parents=True)
    monkeypatch.setattr("gateway.stack.base_model._HEARTBEAT_SECONDS", 0.1)
    told: list[str] = []
    await prepare_base_model(settings, "float32", told.append)
    assert any(line.startswith("base model: 1.25 of 15.00 GB, ") for line in told), told


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            'echo \'{"event": "failed", "code": "base_model_missing", "message": "Check the name."}\'; exit 1',
            "Check the name",
        ),
        ("echo broken; exit 3", "status 3"),
    ],
)
async def test_a_base_model_that_cannot_be_made_says_why(tmp_path: Path, lines: str, reason: str) -> None:
    settings = Settings(home=tmp_path, model_python=_program(tmp_path / "python", lines))
    with pytest.raises(CommandError, match=reason):
        await prepare_base_model(settings, "float32", lambda _: None)


async def test_without_the_model_environment_its_target_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="make env-model"):
        await prepare_base_model(Settings(home=tmp_path, model_python=tmp_path / "none"), "float32", lambda _: None)


def test_every_list_among_the_settings_comes_out_the_same_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(cors_origins=("https://a.example", "*"), engine_urls=("http://one:1", "http://two:2"))
    for name, value in make_child_environment(given, WORKER, {}).items():
        monkeypatch.setenv(name, value)
    there = load_settings()
    assert (there.cors_origins, there.engine_urls) == (given.cors_origins, given.engine_urls)
