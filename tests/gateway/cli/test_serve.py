import asyncio
import os
import signal
import socket

import pytest

from gateway.cli.serve import run_worker
from gateway.settings import Settings
from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.tuning import settings
from tests.waiting import until

__all__ = ["settings"]


async def test_a_taken_port_is_a_conflict(tmp_path: os.PathLike[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = await run("serve", "--home", str(tmp_path), "--port", str(listener.getsockname()[1]))
    assert done.exit_code == Exit.CONFLICT
    assert "--port" in done.stderr


async def test_a_worker_works_until_a_signal(settings: Settings) -> None:
    async with FakeRetriever(settings.retriever_socket):
        before = signal.getsignal(signal.SIGTERM)  # not the default where coverage is measured
        working = asyncio.create_task(run_worker(settings))
        await until(lambda: working.done() or signal.getsignal(signal.SIGTERM) is not before)
        assert not working.done()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await working
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_wrong_setting_is_a_usage_error(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_POTR", "80")
    assert (await run(command)).exit_code == Exit.USAGE
