"""The graph of vectors (HNSW), built in a copy of the index by a process of its own (`python -m …backends.graph`).

The engine builds it in the thread that asks for it, and lets nothing else of that interpreter run meanwhile.
"""

import asyncio
import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import qdrant_edge as edge

from retrieval.backends.shard_folder import GRAPH_KILOBYTES, make_config
from retrieval.parsers.forked_children import CHILD_ENVIRONMENT

__all__ = ["GraphNotBuilt", "GraphPolicy", "build_graph"]

_PR_SET_PDEATHSIG = 1


class GraphNotBuilt(Exception):
    """The process that builds the graph failed; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class GraphPolicy:
    """When the graph is built.

    Attributes:
        least: Points outside of the graph from which on it is built anew, if they are a quarter of those inside, too:
            what is outside costs each search, and a quarter has each point built in five times at most, whatever comes.
        kilobytes: Vectors of a segment from which on it gets a graph.
    """

    least: int = 10_000
    kilobytes: int = GRAPH_KILOBYTES

    def wants(self, points: int, inside: int) -> bool:
        """Tell whether a graph with so many of the points inside is worth building anew."""
        return points - inside >= max(self.least, inside // 4)


async def build_graph(folder: Path, dimensions: int, policy: GraphPolicy) -> None:
    """Build the graph of the shard in `folder`, which nobody else has open, with what the machine has to spare.

    Raises:
        GraphNotBuilt: The process failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retrieval.backends.graph"),
        *(str(folder), str(dimensions), str(policy.kilobytes)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=CHILD_ENVIRONMENT,
    )
    try:
        _, output = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise GraphNotBuilt(f"It ended with {process.returncode}: {output.decode(errors='replace')[-500:]}")


def main() -> None:
    """Build, as the lowest of priorities, and end with the parent."""
    folder, dimensions, kilobytes = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(19)
    shard = edge.EdgeShard.load(folder, make_config(int(dimensions), int(kilobytes)))
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
