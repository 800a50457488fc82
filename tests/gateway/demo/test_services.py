"""The demo's own Braid, with a stand-in for `braid up`: a small HTTP server that becomes ready after a while."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from gateway.client import Client, Profile
from gateway.demo import services as module
from gateway.demo.services import running_services
from gateway.progress import Progress
from gateway.settings import Settings
from gateway.stack.instance import Instance
from gateway.terminal import CommandError
from tests.ports import find_port

PYTHON = sys.executable
STAND_IN = """#!{python}
import http.server, os, pathlib, signal, time

{begin}
print("base model: made", flush=True)
home, started = pathlib.Path(os.environ["BRAID_HOME"]), time.monotonic()
(home / "key").write_text(os.environ["BRAID_ADMIN_KEY"])
(home / "pid").write_text(str(os.getpid()))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path in ("/healthz", "/api/tenants") or time.monotonic() - started > 0.6
        self.send_response(200 if ready else 503)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{{}}")

    def log_message(self, *arguments):
        pass

print("engine: ready\\n\\nTry it: curl", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["BRAID_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    write(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.05)
    yield Settings(home=tmp_path, port=find_port(2))
    pid = tmp_path / "pid"
    if pid.exists() and psutil.pid_exists(int(pid.read_text())):
        process = psutil.Process(int(pid.read_text()))
        process.kill()
        process.wait()


def write(home: Path, begin: str = "") -> None:
    (home / "python").write_text(STAND_IN.format(python=PYTHON, begin=begin))
    (home / "python").chmod(0o755)


def process(settings: Settings) -> int:
    return int((settings.home / "pid").read_text())


async def test_the_gateway_can_be_called_before_all_is_ready(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_services(settings, Progress(), keep=False) as services:
        async with Client(services.profile.url, services.profile.key or "") as client:
            await client.get("/healthz")
        await services.wait_until_ready()
        assert services.profile.key == (settings.home / "key").read_text()
    assert not psutil.pid_exists(process(settings))
    output = capsys.readouterr().err
    assert "base model: made" in output
    assert "engine: ready" in output
    assert "Try it" not in output


async def test_a_kept_braid_goes_on(settings: Settings) -> None:
    async with running_services(settings, Progress(), keep=True) as services:
        await services.wait_until_ready()
    assert psutil.pid_exists(process(settings))


async def test_a_demo_that_fails_keeps_nothing(settings: Settings) -> None:
    with pytest.raises(CommandError):
        async with running_services(settings, Progress(), keep=True):
            raise CommandError("no")
    assert not psutil.pid_exists(process(settings))


async def test_the_key_of_an_earlier_demo_is_used_again(settings: Settings) -> None:
    Profile("http://127.0.0.1:1", "sk-braid-earlier").save(settings.home)
    async with running_services(settings, Progress(), keep=False) as services:
        assert services.profile.key == "sk-braid-earlier" == (settings.home / "key").read_text()


async def test_a_braid_that_runs_already_is_taken_and_left(settings: Settings) -> None:
    Profile("http://127.0.0.1:1", "sk-braid-earlier").save(settings.home)
    with Instance.only(settings.home):
        async with running_services(settings, Progress(), keep=False) as services:
            await services.wait_until_ready()
            assert services.profile == Profile("http://127.0.0.1:1", "sk-braid-earlier")
    assert not (settings.home / "pid").exists()


async def test_a_braid_that_was_never_ready_is_named_with_its_process(settings: Settings) -> None:
    with Instance.only(settings.home), pytest.raises(CommandError, match=f"not been ready yet.*kill {os.getpid()}"):
        async with running_services(settings, Progress(), keep=False):
            pass
    assert not (settings.home / "pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_demo_that_is_told_to_stop_stops_its_braid(settings: Settings, number: signal.Signals) -> None:
    async def stopped_demo() -> None:
        async with running_services(settings, Progress(), keep=True) as services:
            await services.wait_until_ready()
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)

    before = signal.signal(number, signal.SIG_DFL)  # ignored where the tests themselves run under nohup
    try:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(stopped_demo())
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert not psutil.pid_exists(process(settings))


async def test_a_demo_under_nohup_goes_on_without_its_terminal(settings: Settings) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        async with running_services(settings, Progress(), keep=False) as services:
            os.kill(os.getpid(), signal.SIGHUP)
            await services.wait_until_ready()
    finally:
        signal.signal(signal.SIGHUP, before)


class Stranger(BaseHTTPRequestHandler):
    """Another Braid, which knows nobody's key."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 401)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


async def test_another_gateway_that_came_to_the_port_is_not_taken_for_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        monkeypatch.setattr(module, "find_free_ports", lambda host, first, count: stranger.server_port)
        thread = threading.Thread(target=stranger.serve_forever)
        thread.start()
        try:
            with pytest.raises(CommandError, match="exit status 1"):
                async with running_services(settings, Progress(), keep=False):
                    pass
        finally:
            stranger.shutdown()
            thread.join()


async def test_a_start_that_fails_names_the_log(settings: Settings) -> None:
    write(settings.home, "raise SystemExit(7)")
    with pytest.raises(CommandError, match=r"exit status 7.*up\.log"):
        async with running_services(settings, Progress(), keep=False):
            pass


async def test_a_start_that_takes_too_long_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START_SECONDS", 0.3)
    write(settings.home, "time.sleep(60)")
    with pytest.raises(CommandError, match="wasn't ready"):
        async with running_services(settings, Progress(), keep=False):
            pass


async def test_a_braid_that_does_not_stop_is_killed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.3)
    write(settings.home, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    async with running_services(settings, Progress(), keep=False):
        pass
    assert not psutil.pid_exists(process(settings))
