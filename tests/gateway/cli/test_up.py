"""`braid up` as a program, with a model environment that is a stand-in and an engine that is a fake."""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from gateway.cli.up import run_until_stopped
from gateway.client import Profile
from gateway.settings import Settings, load_settings
from gateway.stack.instance import Instance
from gateway.terminal import CommandError, Exit
from tests.fakes.peft import write_base
from tests.fakes.vllm import FakeVllm
from tests.ports import find_port
from tests.waiting import until

ROOT = Path(__file__).parents[3]
STAND_IN = """#!{python}
import asyncio, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.fakes.passages import FakePassages

async def retrieve(socket):
    async with FakePassages(socket):
        await asyncio.Event().wait()

match sys.argv[1:]:
    case ["-m", "training", "base-model", *_]:
        print('{{"directory": "{base}", "is_new": false}}')
    case ["-m", "retrieval", "--socket", socket, *_]:
        asyncio.run(retrieve(Path(socket)))
"""


@pytest.fixture
def environment(tmp_path: Path, engine: FakeVllm) -> dict[str, str]:
    base = write_base(tmp_path / "base")
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(python=sys.executable, root=str(ROOT), base=base))
    python.chmod(0o755)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("BRAID_")},
        "BRAID_HOME": str(tmp_path / "home"),
        "BRAID_PORT": str(find_port()),
        "BRAID_MODEL_PYTHON": str(python),
        "BRAID_ENGINE_URLS": engine.url,
        "BRAID_BASE_MODEL_NAME": engine.model,
    }


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "up"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def up(environment: dict[str, str]) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """A Braid that is ready, and what it printed until then."""
    process = await start(environment)
    assert process.stderr is not None
    output = ""
    try:
        async with asyncio.timeout(60):
            while "Ctrl-C stops it." not in output:
                line = await process.stderr.readline()
                assert line, output
                output += line.decode()
        yield process, output
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


@pytest.fixture
def handlers() -> Iterator[None]:
    """Take the signal handlers of a command away from this process's loop again."""
    yield
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.mark.usefixtures("handlers")
async def test_a_signal_stops_everything_in_order(
    environment: dict[str, str], engine: FakeVllm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    home = Path(environment["BRAID_HOME"])
    running = asyncio.create_task(run_until_stopped(load_settings()))
    output = ""

    def is_ready() -> bool:
        nonlocal output
        output += capsys.readouterr().err
        return running.done() or "Ctrl-C stops it." in output

    await until(is_ready, timeout=60)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    output += capsys.readouterr().err
    assert "Admin key, shown this once: sk-braid-" in output
    assert output.splitlines()[-1] == "stopped"
    assert Instance.find_process(home) is None


@pytest.mark.usefixtures("handlers")
async def test_a_home_whose_path_is_too_long_is_a_usage_error(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ("h" * 120))
    with pytest.raises(CommandError, match="--home") as caught:
        await run_until_stopped(settings)
    assert caught.value.exit is Exit.USAGE


@pytest.mark.usefixtures("handlers")
async def test_a_taken_port_is_a_conflict(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(home=tmp_path, port=listener.getsockname()[1], engine_urls=("http://127.0.0.1:1",))
        with pytest.raises(CommandError, match="--port") as caught:
            await run_until_stopped(settings)
    assert caught.value.exit is Exit.CONFLICT


@pytest.mark.e2e
async def test_up_serves_and_leaves_nothing_behind(environment: dict[str, str], engine: FakeVllm) -> None:
    home = Path(environment["BRAID_HOME"])
    async with up(environment) as (process, output):
        assert "Admin key, shown this once: sk-braid-" in output
        assert f'"model": "{engine.model}"' in output
        profile = Profile.load(home)
        assert profile is not None
        assert profile.key
        assert profile.key in output
        assert stat.S_IMODE(Profile.locate_file(home).stat().st_mode) == 0o600
        async with httpx2.AsyncClient(base_url=profile.url, timeout=30) as client:
            body = {"model": engine.model, "messages": [{"role": "user", "content": "Hello"}]}
            key = {"authorization": f"Bearer {profile.key}"}
            assert (await client.post("/v1/chat/completions", json=body, headers=key)).status_code == 200

        second = await start(environment)
        _, complaint = await second.communicate()
        assert second.returncode == Exit.CONFLICT
        assert b"running already" in complaint
        assert b"Traceback" not in complaint

        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 3
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == Exit.OK
        assert psutil.wait_procs(children, timeout=30)[1] == []

    async with up(environment) as (process, output):
        assert "Admin key" not in output
        assert Profile.load(home) == profile
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == Exit.OK


@pytest.mark.e2e
async def test_a_gateway_that_is_killed_comes_back(environment: dict[str, str], engine: FakeVllm) -> None:
    async with up(environment):
        url = f"http://127.0.0.1:{environment['BRAID_PORT']}/healthz"
        note = Path(environment["BRAID_HOME"]) / "logs" / "gateway.session"
        killed = note.read_text()
        psutil.Process(int(killed.split()[0])).kill()
        async with asyncio.timeout(30), httpx2.AsyncClient() as client:
            while not (note.exists() and note.read_text() != killed and await _answers(client, url)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.e2e
async def test_a_port_in_use_is_a_conflict(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["BRAID_PORT"]))):
        process = await start(environment)
        _, complaint = await process.communicate()
    assert process.returncode == Exit.CONFLICT
    assert b"--port" in complaint
    assert b"Traceback" not in complaint


@pytest.mark.e2e
async def test_a_retriever_that_cannot_start_is_named_with_its_log(environment: dict[str, str]) -> None:
    python = Path(environment["BRAID_MODEL_PYTHON"])
    whole = python.read_text()
    python.write_text(whole.replace("asyncio.run(retrieve(Path(socket)))", "sys.exit('no embedder')"))
    process = await start(environment)
    _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == Exit.FAILED
    assert b"The retriever doesn't start" in complaint
    assert b"no embedder" in complaint
    assert b"Traceback" not in complaint
    python.write_text(whole)
    async with up(environment) as (_, output):  # no key was made before, which nobody would have seen
        assert "Admin key, shown this once: sk-braid-" in output


@pytest.mark.e2e
async def test_wrong_settings_are_a_usage_error(environment: dict[str, str]) -> None:
    process = await start(environment | {"BRAID_POTR": "80"})
    output, complaint = await process.communicate()
    assert process.returncode == Exit.USAGE
    assert b"BRAID_PORT" in complaint
    assert b"Traceback" not in complaint
    assert output == b""
