"""The local engine, for real: vLLM under its supervisor, with adapters that are loaded and proven.

That it comes back with them after it was killed is the demo's to show (`test_demo.py`).
"""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import pytest_asyncio

from gateway.engine_options import EngineOptions
from gateway.engines import (
    AdapterRejected,
    Connections,
    DesiredAdapter,
    EnginePool,
    Probe,
    Reconciler,
    Timeouts,
    VllmEngine,
)
from gateway.engines.hardware import Hardware
from gateway.engines.local import LocalEngine
from gateway.processes import Child
from tests.e2e.demo import session_of
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-model/bin/python"
START_SECONDS = 400.0

# One engine for the whole file, and the tests build on each other's state: a start takes half a minute and more.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("engine"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]


def in_model_environment(*arguments: str) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([str(PYTHON), *arguments], check=True, cwd=ROOT, env=environment)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def base() -> Path:
    folder = ROOT / ".braid/models/smollm2-135m-instruct"
    in_model_environment("-m", "training", "base-model", "--out", str(folder))
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[DesiredAdapter]:
    folder = tmp_path_factory.mktemp("adapters")
    made: list[DesiredAdapter] = []
    for seed in (1, 2):
        path, reference = folder / f"seed-{seed}", folder / f"seed-{seed}.json"
        in_model_environment("tests/e2e/tiny_adapter.py", str(base), str(path), str(seed))
        in_model_environment(
            *("-m", "training", "reference", "--base", str(base), "--adapter", str(path), "--out", str(reference))
        )
        rows = json.loads(reference.read_text())["probe"]
        probes = [Probe(row["tokens"], row["from"], row["logprobs"], row["base_logprobs"]) for row in rows]
        made.append(DesiredAdapter(f"kestrel.seed-{seed}.00000000", str(path), probes))
    return made


class Wanted:
    adapters: list[DesiredAdapter]

    async def __call__(self) -> Sequence[DesiredAdapter]:
        return self.adapters


@pytest.fixture(scope="module")
def wanted() -> Wanted:
    made = Wanted()
    made.adapters = []
    return made


class Running:
    def __init__(self, child: Child, pool: EnginePool, reconciler: Reconciler, engine: VllmEngine) -> None:
        self.child, self.pool, self.reconciler, self.engine = child, pool, reconciler, engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(base: Path, wanted: Wanted, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    # With as many adapters as slots the last slot is taken, which is what a base model's request must not see.
    # A parser is named, because the packaged model's own template has no words for tools.
    options = EngineOptions.parse("--tool-call-parser hermes --max-model-len 4096")
    local = LocalEngine(PYTHON, base, "base", free_port(), adapters_at_once=2, options=options)
    async with Connections() as connections:
        engine = VllmEngine(local.url, connections, Timeouts(control=30))
        child = local.child(Hardware.detect(), connections, tmp_path_factory.mktemp("run"), os.environ)
        async with child, EnginePool([engine]) as pool, Reconciler(pool, wanted) as reconciler:
            await until(lambda: child.state.phase == "ready", START_SECONDS)
            await until(lambda: pool.replicas[0].ready, 30)
            yield Running(child, pool, reconciler, engine)


async def ask(running: Running, model: str, **more: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Name one colour."}], "max_tokens": 8, **more}
    stream = await running.engine.chat(json.dumps({"temperature": 0, **body}).encode())
    try:
        return b"".join([piece async for piece in stream])
    finally:
        await stream.aclose()


async def test_serves_the_base_model(running: Running) -> None:
    assert running.pool.base_model == "base"
    assert running.pool.max_model_len == 4096
    answer = json.loads(await ask(running, "base"))
    assert answer["usage"]["completion_tokens"] > 0
    streamed = await ask(running, "base", stream=True)
    events = [json.loads(line[6:]) for line in streamed.split(b"\n\n") if line.startswith(b"data: {")]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text == answer["choices"][0]["message"]["content"]
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert await running.engine.tokenize("base", "Name one colour.") == 4


async def test_tools_are_taken_by_an_engine_with_a_parser(running: Running) -> None:
    tool = {"type": "function", "function": {"name": "paint", "parameters": {"type": "object", "properties": {}}}}
    for choice in ("auto", "none"):
        answer = json.loads(await ask(running, "base", tools=[tool], tool_choice=choice))
        assert answer["choices"][0]["message"]["role"] == "assistant"


async def test_an_answer_under_a_schema_has_no_white_space_to_hide_in(running: Running, base: Path) -> None:
    """Blanks are made far likelier than any other token: where the grammar allows one, the answer never ends."""
    vocabulary: dict[str, int] = json.loads((base / "tokenizer.json").read_text())["model"]["vocab"]
    blanks = [id for token, id in vocabulary.items() if set(token) <= set("ĠĊĉč")]  # as byte-level BPE spells them
    assert len(blanks) > 3
    colours = {"type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 2, "maxItems": 2}
    properties = {"colours": colours, "bright": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "colours", "schema": schema}}
    bias = {str(id): 100 for id in blanks}
    answer = json.loads(await ask(running, "base", max_tokens=64, response_format=form, logit_bias=bias))
    text = answer["choices"][0]["message"]["content"]
    assert text == json.dumps(json.loads(text), separators=(",", ":")), text


async def test_a_real_adapter_is_loaded_and_proven(
    running: Running, wanted: Wanted, adapters: list[DesiredAdapter]
) -> None:
    wanted.adapters = adapters
    for adapter in adapters:
        await running.reconciler.resident(adapter.served_name, 120)
    assert running.reconciler.failures() == []
    assert json.loads(await ask(running, adapters[0].served_name))["model"] == adapters[0].served_name


async def test_an_adapter_under_another_ones_reference_is_refused(
    running: Running, wanted: Wanted, adapters: list[DesiredAdapter]
) -> None:
    one, other = adapters
    swapped = DesiredAdapter("harbor.swapped.00000000", one.path, other.probe)
    wanted.adapters = [*adapters, swapped]
    with pytest.raises(AdapterRejected, check=lambda error: "doesn't reproduce" in error.reason):
        await running.reconciler.resident(swapped.served_name, 120)
    assert swapped.served_name not in (await running.engine.models()).adapters
    wanted.adapters = adapters


async def test_requests_in_one_batch_keep_to_their_own_weights(
    running: Running, adapters: list[DesiredAdapter]
) -> None:
    names = ["base", adapters[0].served_name, "base", adapters[1].served_name] * 2
    probe = adapters[0].probe[0]
    alone = {name: await running.engine.logprobs(name, probe.tokens, probe.start) for name in set(names)}
    together = await asyncio.gather(*(running.engine.logprobs(name, probe.tokens, probe.start) for name in names))
    for name, scores in zip(names, together, strict=True):
        # Rounding in bfloat16 depends on what shares the batch; the adapters differ from the base by half a nat.
        assert fmean(abs(a - b) for a, b in zip(scores, alone[name], strict=True)) < 0.1, name


async def test_stopping_leaves_no_process(running: Running) -> None:
    leader = running.child.state.pid
    assert len(session_of(leader)) >= 3
    await running.child.stop()
    assert session_of(leader) == []
