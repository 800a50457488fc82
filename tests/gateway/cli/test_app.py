import asyncio
import errno
import importlib.metadata
import os
import sys

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from gateway.cli.app import app, choose_exit_status
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


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_disk_that_takes_nothing_is_said_to_without_a_trace(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    command = typer.Typer()

    @command.command("up")
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/srv/braid/run")

    monkeypatch.setattr("gateway.cli.app._load_command", lambda _name: typer.main.get_command(command))
    result = CliRunner().invoke(app, ["up"])
    assert (result.exit_code, type(result.exception)) == (Exit.FAILED, SystemExit)
    assert f"/srv/braid/run: {os.strerror(number)}" in result.stderr
    assert "read-only" in result.stderr


async def test_the_version_is_the_packages() -> None:
    done = await run("--version")
    assert done.stdout == f"braid {importlib.metadata.version('braid-gateway')}\n"


@pytest.mark.parametrize("name", ["docs", "eval", "import", "sources", "styles", "chat"])
async def test_completion_is_braids_and_no_commands_own(name: str) -> None:
    assert "--install-completion" in (await run("--help")).stdout
    assert "completion" not in (await run(name, "--help")).stdout


async def list_modules(program: str) -> list[str]:
    program += "\nimport gc, sys\nprint(gc.isenabled(), *sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    enabled, *modules = output.decode().split()
    assert enabled == "True"
    return modules


async def test_a_command_imports_no_other() -> None:
    alone = await list_modules("import gateway.cli")
    assert not {"gateway.cli.docs", "gateway.cli.up", "fastapi", "sqlalchemy"} & {*alone}
    program = "from gateway.cli.app import app\nfrom typer.testing import CliRunner\n"
    program += "assert CliRunner().invoke(app, ['docs', '--help']).exit_code == 0"
    modules = await list_modules(program)
    assert "gateway.cli.docs" in modules
    assert not {"gateway.cli.up", "gateway.cli.styles", "gateway.cli.demo"} & {*modules}


async def test_an_unknown_command_says_which_there_are() -> None:
    result = await run("dcos")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean 'docs'" in " ".join(result.output.split())


async def test_without_a_command_the_commands_are_listed() -> None:
    done = await run()
    for command in ("up", "demo", "doctor", "chat", "docs", "serve", "worker"):
        assert command in done.output
