"""What is measured: the mock itself, two floors, Braid from one or more checkouts, and peers that are installed."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.bench import floors
from tests.bench.driver import MESSAGES
from tests.bench.upstream import MODEL
from tests.ports import find_port

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
ADMIN_KEY = "sk-bench-" + secrets.token_hex(16)
PEER_KEY = "sk-bench"
ASSISTANT = "support"


@dataclass(frozen=True)
class Target:
    """A program to start, and how it is asked. `braid` has a tenant's key made by its own API."""

    name: str
    command: Sequence[str | Path]
    port: int
    key: str = PEER_KEY
    braid: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    patience: float = 60

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{CHAT}"


@dataclass
class Running:
    """A started target: what is asked, with which key, and whose processor time counts."""

    name: str
    url: str
    key: str
    process: subprocess.Popen[bytes]
    model: str = MODEL


def mock() -> Target:
    """Return the model server that every target asks."""
    port = find_port()
    return Target("direct", [sys.executable, "-m", "tests.bench.upstream", "--port", str(port)], port)


def floor(name: str, kind: str, upstream: str) -> Target:
    """Return one of the two floors."""
    port = find_port()
    command = [sys.executable, "-m", "tests.bench.floors", kind, "--port", str(port), "--upstream", upstream]
    return Target(name, command, port, key=floors.KEY)


def braid(name: str, checkout: Path, home: Path, upstream: str) -> Target:
    """Return the gateway as it stands in a checkout, on a database of its own."""
    port = find_port(3)  # the last of them is the admin port's
    # A release is tied to the base's weights; this is what `braid up` leaves of them.
    (home / "run").mkdir(parents=True)
    (home / "run" / "base.json").write_text(json.dumps({"name": MODEL, "path": "", "digest": "sha256:bench"}))
    python = checkout / ".venv" / "bin" / "python"
    environment = {
        "BRAID_ENGINE_URLS": upstream,
        "BRAID_ADMIN_KEY": ADMIN_KEY,
        "BRAID_HOME": str(home),
        "PYTHONPATH": str(checkout),  # ahead of the checkout that the environment was made for
    }
    command = [python if python.exists() else sys.executable, "-m", "gateway.cli", "serve", "--port", str(port)]
    return Target(name, command, port, braid=True, environment=environment, folder=checkout)


def peers(upstream: str, places: Sequence[Path], scratch: Path) -> list[Target]:
    """Return the peers whose programs are in `places` or on the PATH."""
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])
    found: list[Target] = []
    if router := shutil.which("vllm-router", path=path):
        port, more = find_port(), ["--policy", "round_robin", "--log-level", "warning", "--api-key", PEER_KEY]
        address = ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(find_port())]
        found.append(Target("vllm-router", [router, "--worker-urls", upstream, *address, *more], port))
    if litellm := shutil.which("litellm", path=path):
        port, config = find_port(), scratch / "litellm.yaml"
        config.write_text(_LITELLM.format(model=MODEL, upstream=upstream, key=PEER_KEY))
        address = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        quiet = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_TELEMETRY": "False"}
        quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
        command = [litellm, "--config", config, *address]
        found.append(Target("LiteLLM with a key", command, port, environment=quiet, patience=180))
    return found


_LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: {upstream}/v1, api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{request_timeout: 60}}
"""


@contextmanager
def started(target: Target, core: int, log: Path) -> Generator[Running | None]:
    """Start a target on one core and wait until it answers; None where it doesn't, and its log says why."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(map(str, target.command)),
                cwd=target.folder,
                env={**os.environ, **target.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, before)
    try:
        yield _wait(target, process)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(target: Target, process: subprocess.Popen[bytes]) -> Running | None:
    deadline = time.monotonic() + target.patience
    key = "" if target.braid else target.key
    while time.monotonic() < deadline and process.poll() is None:
        try:
            key = key or _tenants_key(target)
            if all(_answers(target, key, stream=stream) for stream in (False, True)):
                return Running(target.name, target.url, key, process)
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    return None


def _tenants_key(target: Target) -> str:
    """Make a tenant and a key that may only chat, as an application has it."""
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{target.port}", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    ) as client:
        client.post("/api/tenants", json={"name": "bench"})
        answer = client.post("/api/keys", json={"tenant": "bench", "name": "bench", "scopes": ["chat"]})
        manager = client.post("/api/keys", json={"tenant": "bench", "name": "setup", "scopes": ["manage"]})
        _make_assistant(client, {"authorization": f"Bearer {manager.json().get('key', '')}"})
    return answer.json().get("key", "")


def _make_assistant(client: httpx2.Client, headers: dict[str, str]) -> None:
    """Make an assistant with a prompt and a rollout, as a tenant does."""
    path = f"/api/assistants/{ASSISTANT}"
    template = "Answer for the tenant, in short sentences, and never promise what the documents don't say."
    client.post("/api/prompts", json={"name": "house", "template": template}, headers=headers)
    client.post("/api/assistants", json={"name": ASSISTANT}, headers=headers)
    client.post(f"{path}/releases", json={"prompt": "house@1"}, headers=headers)
    stages = [{"release": 1, "weight": 100}]
    client.put(f"{path}/rollout", json={"stages": stages, "revision": 0}, headers=headers)


def _answers(target: Target, key: str, *, stream: bool) -> bool:
    body = {"model": MODEL, "messages": MESSAGES, "stream": stream}
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx2.post(target.url, json=body, headers=headers, timeout=10)
    return answer.status_code == 200 and ("[DONE]" in answer.text if stream else "choices" in answer.json())
