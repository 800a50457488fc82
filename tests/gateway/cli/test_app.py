import asyncio
import importlib.metadata
import sys

import pytest

from gateway.cli.app import choose_exit_status
from gateway.client import AmbiguousName, ClientError, GatewayError, GatewayUnreachable
from gateway.settings import SettingsError
from gateway.terminal import CommandError, Exit
from tests.gateway.cli.commands import run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CommandError("", Exit.USAGE), Exit.USAGE),
        (CommandError(""), Exit.FAILED),
        (SettingsError(""), Exit.USAGE),
        (AmbiguousName(""), Exit.CONFLICT),
        (GatewayUnreachable(""), Exit.UNREACHABLE),
        (GatewayError(400, ""), Exit.FAILED),
        (GatewayError(401, ""), Exit.DENIED),
        (GatewayError(403, ""), Exit.DENIED),
        (GatewayError(404, ""), Exit.NOT_FOUND),
        (GatewayError(409, ""), Exit.CONFLICT),
        (GatewayError(503, ""), Exit.UNREACHABLE),
        (ClientError(""), Exit.FAILED),
    ],
)
def test_each_kind_of_trouble_has_its_exit_status(error: Exception, status: Exit) -> None:
    assert choose_exit_status(error) is status


async def test_the_version_is_the_packages() -> None:
    done = await run("--version")
    assert done.stdout == f"braid {importlib.metadata.version('braid-gateway')}\n"


async def test_garbage_is_looked_for_once_everything_is_imported() -> None:
    program = "import gc\nbefore = gc.get_stats()[2]['collections']\nimport gateway.cli\n"
    program += "print(gc.isenabled(), gc.get_stats()[2]['collections'] - before)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().split() == ["True", "0"]


async def test_without_a_command_the_commands_are_listed() -> None:
    done = await run()
    for command in ("up", "demo", "doctor", "chat", "docs", "serve", "worker"):
        assert command in done.output
