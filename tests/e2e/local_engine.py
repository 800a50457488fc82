"""A real engine as `braid up` starts it, with the adapters that a test wants on it."""

import json
import os
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.engine_options import EngineOptions
from gateway.engines import Connections, DesiredAdapter, Engine, EnginePool, Reconciler, Timeouts
from gateway.engines.hardware import Hardware
from gateway.engines.local import LocalEngine
from gateway.processes import Child
from tests.ports import find_port
from tests.waiting import until
from training.manifest import Probe

__all__ = ["ROOT", "RunningEngine", "Wanted", "call_training", "read_probes", "run_engine"]

ROOT = Path(__file__).parents[2]
_PYTHON = ROOT / ".venv-model/bin/python"
_START_SECONDS = 400.0


def call_training(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run the model environment's Python; the result has its standard output."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    command = [str(_PYTHON), *arguments]
    return subprocess.run(command, check=check, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def read_probes(file: Path) -> list[Probe]:
    """Read the reference rows of a manifest, or of a reference that was made later."""
    rows = json.loads(file.read_bytes())["probe"]
    return [Probe(row["tokens"], row["from"], row["logprobs"], row["base_logprobs"]) for row in rows]


class Wanted:
    """The adapters that an engine shall have now."""

    def __init__(self, *adapters: DesiredAdapter) -> None:
        self.adapters: Sequence[DesiredAdapter] = adapters

    async def __call__(self) -> Sequence[DesiredAdapter]:
        return self.adapters


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine that is ready, under its supervisor."""

    child: Child
    pool: EnginePool
    reconciler: Reconciler
    engine: Engine

    async def chat(self, body: dict[str, Any]) -> bytes:
        """Send a chat request, and return its whole answer."""
        stream = await self.engine.chat(json.dumps(body).encode())
        try:
            return b"".join([piece async for piece in stream])
        finally:
            await stream.aclose()


@asynccontextmanager
async def run_engine(
    base: Path, wanted: Wanted, folder: Path, *, adapters_at_once: int = 4, options: str = ""
) -> AsyncGenerator[RunningEngine]:
    """Start vLLM on a base, and end it with the block; its log goes to `folder`."""
    local = LocalEngine(
        _PYTHON, base, "base", find_port(), adapters_at_once=adapters_at_once, options=EngineOptions.parse(options)
    )
    async with Connections() as connections:
        engine = Engine(local.url, connections, Timeouts(control=30))
        child = local.make_child(Hardware.detect(), connections, folder, os.environ)
        async with child, EnginePool([engine]) as pool, Reconciler(pool, wanted) as reconciler:
            await until(lambda: child.state.phase == "ready", _START_SECONDS)
            await until(lambda: pool.replicas[0].ready)
            yield RunningEngine(child, pool, reconciler, engine)
