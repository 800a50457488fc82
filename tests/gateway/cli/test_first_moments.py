"""Ctrl-C in a command's first moments ends it like any other: status 130, and no traceback."""

import asyncio
import os
import signal
import sys

import pytest

from tests.gateway.worker import ROOT

# Whoever starts the tests in the background of a shell has Ctrl-C ignored in all that they start. The module is named
# on stderr when its import has ended; it is the start of the script that counts, not of the interpreter.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from gateway.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["gateway.client.http", "gateway.settings", "gateway.terminal", "gateway.cli.options"]
)
async def test_ctrl_c_while_modules_are_imported_shows_no_traceback(module: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-c", PROGRAM, "sources", "--help"),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while (line := await process.stderr.readline()) and line.split()[-1] != module.encode():
        pass
    assert line, f"{module} isn't imported"
    process.send_signal(signal.SIGINT)
    rest = await process.stderr.read()
    assert await process.wait() == 130
    assert b"Traceback" not in rest


async def test_a_command_that_runs_gets_ctrl_c_as_ever() -> None:
    program = PROGRAM.replace("main()", "import gateway.cli.app, os\n") + (
        "gateway.cli.app.app = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "import atexit; atexit.register(print, 'ended in order')\nmain()\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (130, b"ended in order\n", b"")
