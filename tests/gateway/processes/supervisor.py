"""A supervisor in a process of its own, for the tests to kill: `python -m … FOLDER`."""

import asyncio
import sys
from pathlib import Path

from gateway.processes import Child
from tests.gateway.processes.family import is_ready, naughty


async def main(folder: Path) -> None:
    async with Child("tree", naughty(folder, "--workers", "2"), folder, is_ready(folder)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
