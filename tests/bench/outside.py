"""The same question asked by the comparison that stands beside the project, where it is checked out.

    BENCH_HOME=DIR make bench-gateway         after our own run, with vllm-router and LiteLLM from environments in DIR

`BENCH_OUTSIDE` is the folder of the comparison (`bench.py` and its README, which says how to make the environments);
it stands beside the project as `../shared/bench`. A plain clone has `tests.bench.gateway`, which needs nothing else.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCH = Path(os.environ.get("BENCH_OUTSIDE", ROOT.parent / "shared" / "bench"))
HOME = Path(os.environ.get("BENCH_HOME", ROOT / ".braid" / "bench"))
UPSTREAM = "http://127.0.0.1:9100"
FLOORS = ("native full", "fastapi full own")
PEERS = ("vllm-router", "litellm +master key")


def environment() -> Path:
    """Make the environment of driver, mock and floors, if it isn't there."""
    python = HOME / "v-floors" / "bin" / "python"
    if not python.exists():
        print(f"== making {python.parent.parent}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        words = "uvicorn uvloop httptools fastapi aiohttp httpx msgspec orjson pydantic prometheus_client psutil jinja2"
        subprocess.run([python, "-m", "pip", "install", "-q", *words.split()], check=True)
    return python


def start_gateway(home: Path, port: int, key: str) -> subprocess.Popen[bytes]:
    """Start `braid serve` with the mock as its engine, on core 1 where there is one."""
    env = {**os.environ, "BRAID_ENGINE_URLS": UPSTREAM, "BRAID_ADMIN_KEY": key, "BRAID_HOME": str(home)}
    core = str(min(1, (os.cpu_count() or 1) - 1))
    command = ["taskset", "-c", core, str(Path(sys.executable).parent / "braid"), "serve", "--port", str(port)]
    return subprocess.Popen(command, env=env, stdout=sys.stderr, start_new_session=True)


def main() -> int:
    """Run the comparison and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--port", type=int, default=9380)
    options.add_argument(
        "--out", type=Path, default=ROOT / ".braid" / "bench" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    )
    given = options.parse_args()
    if not (BENCH / "bench.py").exists():
        print(f"There is no bench.py in {BENCH}. Set BENCH_OUTSIDE to the folder of the comparison.", file=sys.stderr)
        return 2
    python = environment()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    key = "sk-bench-" + secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as home:
        gateway = start_gateway(Path(home), given.port, key)
        try:
            chosen = [word for name in (*FLOORS, *PEERS) for word in ("--only", name)]
            url = f"http://127.0.0.1:{given.port}/v1/chat/completions"
            command = [python, BENCH / "bench.py", *chosen, "--rounds", str(given.rounds), "--own-url", url]
            command += ["--own-key", key, "--out", given.out, "--seconds", str(given.seconds)]
            return subprocess.run(command, cwd=BENCH, env={**os.environ, "BENCH_HOME": str(HOME)}).returncode
        finally:
            os.killpg(gateway.pid, signal.SIGTERM)
            gateway.wait(30)


if __name__ == "__main__":
    sys.exit(main())
