"""What `forbid_blocking` finds, and what it lets pass."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.artifacts import folder
from tests.gateway.blocking import BlockingCall, forbid_blocking

BLOCKING = [
    lambda: time.sleep(0),
    lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    lambda: sqlite3.connect(":memory:").close(),
    lambda: Path(__file__).read_bytes(),
]


def call_from_our_code(call: Callable[[], object]) -> object:
    """Call it as a function of the package does: by a frame whose code stands in one of its files."""
    code = compile("call()", folder.__file__, "exec")
    exec(code, {"call": call})
    return None


@pytest.mark.parametrize("call", BLOCKING)
async def test_what_blocks_the_loop_in_our_code_fails(call: Callable[[], object]) -> None:
    with forbid_blocking(), pytest.raises(BlockingCall, match=r"folder\.py:1 calls"):
        call_from_our_code(call)
    call_from_our_code(call)


@pytest.mark.parametrize("call", BLOCKING)
async def test_a_thread_beside_the_loop_and_a_test_itself_may_wait(call: Callable[[], object]) -> None:
    with forbid_blocking():
        await asyncio.to_thread(call_from_our_code, call)
        call()


@pytest.mark.parametrize("call", BLOCKING)
def test_without_a_loop_our_code_may_wait(call: Callable[[], object]) -> None:
    with forbid_blocking():
        call_from_our_code(call)
