"""What the tests of child processes share: the command of the naughty child, and looking at who lives."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from gateway.processes import Command

SCRIPT = Path(__file__).with_name("naughty.py")


def naughty(folder: Path, *arguments: str) -> Command:
    return Command(
        [sys.executable, str(SCRIPT), "--ready", str(folder / "ready"), *arguments],
        os.environ | {"FAMILY": str(folder)},
    )


def is_ready(folder: Path) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (folder / "ready").exists()

    return look


def family(folder: Path) -> list[int]:
    """All living processes of the naughty tree that belongs to this folder, wherever in /proc they are."""
    found: list[int] = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        named = str(SCRIPT) in (process.info["cmdline"] or [])
        ours = (process.info["environ"] or {}).get("FAMILY") == str(folder)
        if named and ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found
