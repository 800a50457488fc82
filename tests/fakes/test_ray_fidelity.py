"""The fake cluster answers as a real one did when `capture_ray.py` asked it: same status, fields, order and words."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.fakes.capture_ray import Recorder, record
from tests.fakes.ray import FakeRay

CAPTURED = Path(__file__).with_name("captured") / "ray" / "jobs.json"
WORDS = ("type", "status", "error_type", "driver_exit_code", "entrypoint", "submission_id", "job_id", "metadata")
"""Members whose values have to be the same, and not their types alone."""


def shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return type(value).__name__
    members: dict[str, Any] = value
    return [(name, inner if name in WORDS else shape(inner)) for name, inner in members.items()]


def simplify(answers: dict[str, Any]) -> dict[str, Any]:
    """Leave of each answer what has to be the same; a trace of Ray's own code isn't."""
    return {
        name: (status, kind, body if isinstance(body, str) and status != 500 else shape(body))
        for name, (status, kind, body) in answers.items()
    }


async def test_the_fake_answers_as_the_cluster_did() -> None:
    async with FakeRay("token") as fake:
        recorder = Recorder(fake.url, "token")
        await asyncio.to_thread(record, recorder)
    assert simplify(recorder.answers) == simplify(json.loads(CAPTURED.read_text()))
