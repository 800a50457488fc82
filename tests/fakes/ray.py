"""A Ray cluster's Jobs API without Ray: the same routes and bodies over a real socket; its jobs are processes here.

`captured/ray/jobs.json` has what a real cluster answered (`capture_ray.py`); `test_ray_fidelity.py` compares the two.
"""

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.fakes._http import Connection, Received, Wire

__all__ = ["FakeRay", "FakeRayJob"]

_ROOT = "/api/jobs/"


@dataclass(eq=False)
class FakeRayJob:
    """One job: what was asked for, and its process."""

    request: dict[str, Any]
    status: str = "PENDING"
    message: str | None = None
    error_type: str | None = None
    exit_code: int | None = None
    start: int = field(default_factory=lambda: int(time.time() * 1000))
    end: int | None = None
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = None
    logs: str = ""

    @property
    def id(self) -> str:
        return self.request["submission_id"]

    def finish(self, status: str, message: str, error_type: str | None = None, exit_code: int | None = None) -> None:
        if self.end is None:
            self.status, self.message, self.error_type, self.exit_code = status, message, error_type, exit_code
            self.end = int(time.time() * 1000)

    def describe(self) -> dict[str, Any]:
        """Return Ray's `JobDetails`."""
        has_begun = self.status != "PENDING" and self.error_type in (None, "JOB_ENTRYPOINT_COMMAND_ERROR")
        return {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": self.id,
            "driver_info": None,
            "status": self.status,
            "entrypoint": self.request["entrypoint"],
            "message": self.message,
            "error_type": self.error_type,
            "start_time": self.start,
            "end_time": self.end,
            "metadata": self.request["metadata"],
            "runtime_env": self.request["runtime_env"],
            "driver_agent_http_address": "http://127.0.0.1:52365" if has_begun else None,
            "driver_node_id": "node" if has_begun else None,
            "driver_exit_code": self.exit_code,
        }


class FakeRay:
    """The cluster of one node.

    Attributes:
        token: The one that each request has to bring; None wants none.
        jobs: All that were submitted, by id.
        unschedulable: New jobs fail before they begin, as where nothing has so many GPUs.
        down: Every request is answered 503.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.port = 0
        self.jobs: dict[str, FakeRayJob] = {}
        self.unschedulable = False
        self.down = False
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handle, self._connections), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        for job in self.jobs.values():
            self._signal(job, signal.SIGKILL)
            if job.task is not None:
                await job.task

    def lose_supervisor(self, job: FakeRayJob) -> None:
        """Let Ray's own process of a job die; the command goes on, whoever its parent is."""
        job.finish("FAILED", "Unexpected error occurred: The actor died unexpectedly before finishing this task.")

    async def _handle(self, received: Received, wire: Wire) -> None:
        if self.down:
            return wire.whole(503, b"upstream connect error", "text/plain; charset=utf-8")
        if self.token is not None and (refusal := self._refuse(received.headers.get("authorization"))):
            return wire.whole(*refusal)
        status, body = await self._answer(received)
        if isinstance(body, str):
            return wire.whole(status, body.encode(), "text/plain; charset=utf-8")
        wire.whole(status, json.dumps(body).encode(), "application/json; charset=utf-8")

    def _refuse(self, header: str | None) -> tuple[int, bytes, str] | None:
        text = "text/plain; charset=utf-8"
        if header is None:
            return 401, b"Unauthorized: Missing authentication token", text
        return None if header == f"Bearer {self.token}" else (403, b"Forbidden: Invalid authentication token", text)

    async def _answer(self, received: Received) -> tuple[int, Any]:
        id, _, verb = received.path.removeprefix(_ROOT).partition("/")
        if received.method == "POST" and not id:
            return await self._submit(received.json)
        job = self.jobs.get(id)
        if job is None:
            return 404, f"Job {id} does not exist"
        if verb == "stop":
            was_running = job.end is None
            if was_running:
                self._signal(job, signal.SIGTERM)
                job.finish("STOPPED", "Job was intentionally stopped.")
            return 200, {"stopped": was_running}
        if verb == "logs":
            return 200, {"logs": job.logs}
        return 200, job.describe()

    async def _submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        id = request["submission_id"]
        if id in self.jobs:
            return 500, f"ValueError: Job with submission_id {id} already exists."
        job = self.jobs[id] = FakeRayJob(request)
        job.task = asyncio.create_task(self._run(job))
        return 200, {"job_id": id, "submission_id": id}

    async def _run(self, job: FakeRayJob) -> None:
        if self.unschedulable:
            message = "Job supervisor actor could not be scheduled: no node has so many GPUs."
            return job.finish("FAILED", message, "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE")
        job.logs = f"Running entrypoint for job {job.id}: {job.request['entrypoint']}\n"
        job.process = await asyncio.create_subprocess_shell(
            job.request["entrypoint"],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "RAY_JOB": job.id, **job.request["runtime_env"]["env_vars"]},
            start_new_session=True,
        )
        job.status, job.message = "RUNNING", "Job is currently running."
        output, _ = await job.process.communicate()
        job.logs += output.decode()
        status = job.process.returncode
        if status == 0:
            return job.finish("SUCCEEDED", "Job finished successfully.", None, 0)
        message = f"Job entrypoint command failed with exit code {status}, last available logs:\n{job.logs}"
        job.finish("FAILED", message, "JOB_ENTRYPOINT_COMMAND_ERROR", status)
        return None

    def _signal(self, job: FakeRayJob, number: signal.Signals) -> None:
        if job.process is not None and job.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(job.process.pid, number)
