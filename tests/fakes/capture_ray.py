"""Record what a real Ray cluster's Jobs API answers, as the model that the fake is checked against.

RAY_AUTH_MODE=token RAY_AUTH_TOKEN=TOKEN ray start --head
python -m tests.fakes.capture_ray http://127.0.0.1:8265 TOKEN > tests/fakes/captured/ray/jobs.json
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

__all__ = ["ENTRYPOINTS", "Recorder", "record"]

ENTRYPOINTS = {"good": "exec sleep 1", "bad": "exec sh -c 'exit 3'", "killed": "exec sh -c 'kill -9 $$'"}
"""Jobs that end by themselves, and how."""

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


class Recorder:
    """Asks, and keeps each answer as status, content type and body."""

    def __init__(self, url: str, token: str | None) -> None:
        self.answers: dict[str, tuple[int, str, Any]] = {}
        self._url = url
        self._token = token

    def ask(self, name: str, method: str, path: str, body: Any = None, *, token: str | None = "") -> Any:
        """Send a request with the cluster's token, or another one, or none."""
        token = self._token if token == "" else token
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, kind, content = answer.status, answer.headers["content-type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            status, kind, content = error.code, error.headers["content-type"], error.read().decode()
        shown = json.loads(content) if kind.startswith("application/json") else content
        self.answers[name] = status, kind, shown
        return shown

    def wait(self, id: str) -> None:
        """Wait until a job has ended."""
        while self.ask("wait", "GET", f"/api/jobs/{id}")["status"] not in _ENDED:
            time.sleep(0.1)
        del self.answers["wait"]


def record(recorder: Recorder) -> None:
    """Walk through what the executor asks, and the faults that it may meet."""

    def submit(name: str, entrypoint: str, **more: Any) -> None:
        body = {
            "entrypoint": entrypoint,
            "submission_id": f"braid-{name}",
            "entrypoint_num_cpus": 1,
            "entrypoint_num_gpus": 0,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}},
            "metadata": {"braid": name},
            **more,
        }
        recorder.ask(f"submit_{name}", "POST", "/api/jobs/", body)

    recorder.ask("no_token", "GET", "/api/jobs/braid-none", token=None)
    recorder.ask("wrong_token", "GET", "/api/jobs/braid-none", token="wrong")
    recorder.ask("missing", "GET", "/api/jobs/braid-none")
    recorder.ask("missing_stop", "POST", "/api/jobs/braid-none/stop")
    for name, entrypoint in ENTRYPOINTS.items():
        submit(name, entrypoint)
        recorder.wait(f"braid-{name}")
        recorder.ask(name, "GET", f"/api/jobs/braid-{name}")
    recorder.ask("logs", "GET", "/api/jobs/braid-bad/logs")
    recorder.ask("stop_ended", "POST", "/api/jobs/braid-good/stop")
    submit("good", "exec true")
    recorder.answers["submit_again"] = recorder.answers.pop("submit_good")
    submit("endless", "exec sleep 600")
    while recorder.ask("running", "GET", "/api/jobs/braid-endless")["status"] != "RUNNING":
        time.sleep(0.1)
    recorder.ask("stop", "POST", "/api/jobs/braid-endless/stop")
    recorder.wait("braid-endless")
    recorder.ask("stopped", "GET", "/api/jobs/braid-endless")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("token")
    arguments = parser.parse_args()
    recorded = Recorder(arguments.url, arguments.token)
    record(recorded)
    json.dump(recorded.answers, sys.stdout, indent=1)
