"""Every place that starts a process, and the secrets of this machine that arrive there: those that it needs."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.adapters.executor import LocalExecutor
from gateway.adapters.import_job import _Upload  # pyright: ignore[reportPrivateUsage]
from gateway.cli.doctor.licences import check_licences
from gateway.demo.environment import describe_environment
from gateway.engines import Connections
from gateway.engines.hardware import Hardware
from gateway.engines.served_base_model import ServedBaseModel
from gateway.processes import Child
from gateway.settings import Settings
from gateway.sources.git_repository import open_repository
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.stack.base_model import prepare_base_model
from gateway.stack.children import make_children, make_retriever
from gateway.stack.packages import EnvironmentBroken, read_installed_versions
from tests.fakes.peft import write_base

SECRETS = (
    "TEAM_TOKEN",  # the operator names it in `source_repositories`
    "OTHER_TOKEN",
    "HF_SECRET",
    "VLLM_API_KEY",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
    "OPENAI_API_KEY",
    "QDRANT_API_KEY",
    "MADE_UP",
    "BRAID_DATABASE_URL",
    "BRAID_ADMIN_KEY",
)
NEEDED = {"PATH": "/bin:/usr/bin", "LANG": "C.UTF-8", "PYTHONPATH": "/braid"}
COMPUTING = {"HOME": "/home/braid", "CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/models", "OMP_NUM_THREADS": "2"}
DOWNLOADS = {"HF_TOKEN", "HTTPS_PROXY"}
BUCKETS = {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


class Recorder:
    """Takes the place of what starts processes; starts none, and keeps the environment."""

    environment: Mapping[str, str] | None = None

    async def start(self, *_command: str, **options: Any) -> None:
        self.run(**options)

    def run(self, *_command: object, **options: Any) -> None:
        self.environment = options.get("env")
        raise OSError


async def child(settings: Settings, name: str) -> None:
    base = ServedBaseModel(name="base", path=str(settings.home / "base"), digest="sha256:base")
    async with Connections() as connections:
        children = make_children(settings, base, Hardware.detect(), connections)
    children += [make_retriever(settings), make_retriever(settings, second=True)]
    chosen: Child = next(one for one in children if one.name == name)
    with (settings.home / "log").open("wb") as log:
        await chosen._spawn(log)  # pyright: ignore[reportPrivateUsage]


async def trainer(settings: Settings) -> None:
    async with LocalExecutor(settings.model_python).open((), settings.home, settings.home / "log"):
        pass


async def unpacker(settings: Settings) -> None:
    archive = settings.home / "upload"
    archive.touch()
    await _Upload(cast(Any, None), archive, cast(Any, None), cast(Any, None), settings.home).make(settings.home)


async def git(settings: Settings) -> None:
    place = f"file://{settings.home}", None, PathFilter(), PublicAddresses(), settings.home / "source"
    async with open_repository(*place, protocols=("file",)) as reader:
        await reader.scan({})


async def base_model(settings: Settings) -> None:
    (settings.home / "logs").mkdir()
    await prepare_base_model(settings, "float32", lambda _: None)


async def graphics_cards(settings: Settings) -> None:
    for folder in ("proc", "dev"):
        (settings.home / folder).mkdir()
    (settings.home / "proc/cpuinfo").touch()
    (settings.home / "dev/nvidia0").touch()
    Hardware.detect(settings.home)


async def packages(settings: Settings) -> None:
    read_installed_versions(settings.model_python)


async def licences(settings: Settings) -> None:
    check_licences(settings.model_python)


async def description(settings: Settings) -> None:
    describe_environment(settings.model_python)


STARTS: list[tuple[Callable[[Settings], Awaitable[None]] | str, set[str], bool]] = [
    ("gateway", {"PGPASSWORD", "BRAID_DATABASE_URL"}, False),
    ("worker", {"PGPASSWORD", "BRAID_DATABASE_URL", "TEAM_TOKEN", "HTTPS_PROXY"} | BUCKETS, True),
    ("retriever", DOWNLOADS, True),
    ("second-retriever", DOWNLOADS, True),
    ("engine-8124", set(), True),
    (trainer, set(), True),
    (base_model, DOWNLOADS, True),
    (unpacker, set(), False),
    (git, set(), False),
    (graphics_cards, set(), False),
    (packages, set(), False),
    (licences, set(), False),
    (description, set(), False),
]


@pytest.mark.parametrize(
    ("start", "allowed", "computes"),
    STARTS,
    ids=[one[0] if isinstance(one[0], str) else one[0].__name__ for one in STARTS],
)
async def test_a_process_gets_the_environment_that_it_needs_and_no_more(
    start: Callable[[Settings], Awaitable[None]] | str,
    allowed: set[str],
    computes: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_base(tmp_path / "base")
    python = tmp_path / "python"
    python.touch()
    settings = Settings(
        home=tmp_path,
        port=8123,
        model_python=python,
        database_url="secret of BRAID_DATABASE_URL",
        source_repositories=("https://git.example.com/docs=TEAM_TOKEN",),
    )
    for name in SECRETS:
        monkeypatch.setenv(name, f"secret of {name}")
    for name, value in (NEEDED | COMPUTING).items():
        monkeypatch.setenv(name, value)
    recorder = Recorder()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorder.start)
    monkeypatch.setattr(subprocess, "run", recorder.run)
    with suppress(OSError, EnvironmentBroken):
        await (child(settings, start) if isinstance(start, str) else start(settings))
    environment = recorder.environment
    assert environment is not None
    assert {name for name in SECRETS if f"secret of {name}" in environment.values()} == allowed
    assert environment["PATH"] == NEEDED["PATH"]
    if start is not git:
        assert NEEDED["PYTHONPATH"] in environment["PYTHONPATH"]
    if computes:
        assert environment.items() >= COMPUTING.items()
