"""A client of Ray's Jobs API: submit a command, look what became of it, stop it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

__all__ = ["FINAL_STATUSES", "RayJob", "RayJobMissing", "RayJobs", "RayUnavailable"]

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
"""The states in which a job stays for good."""

_SECONDS = 30.0
_MOST_CHARACTERS = 300


class RayUnavailable(Exception):
    """The cluster doesn't answer, or won't take the request; the message has no address and no token."""


class RayJobMissing(RayUnavailable):
    """The cluster doesn't know the job: it was started anew, or somebody deleted it."""


class RayJob(msgspec.Struct, frozen=True):
    """The part of Ray's `JobDetails` that is looked at.

    Attributes:
        status: `PENDING`, `RUNNING`, `STOPPED`, `SUCCEEDED` or `FAILED`.
        message: For people.
        error_type: The kind of a failure; `JOB_ENTRYPOINT_COMMAND_ERROR` is the command's own.
        driver_exit_code: The command's exit status, negative for a signal; None where Ray didn't see its end.
    """

    status: str
    message: str | None = None
    error_type: str | None = None
    driver_exit_code: int | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in FINAL_STATUSES


class _Logs(msgspec.Struct, frozen=True):
    logs: str


class RayJobs:
    """Asks one cluster; open it as a context.

    Args:
        address: Of the dashboard, such as `http://ray-head:8265`.
        token: Sent with each request; None where the cluster wants none.
    """

    def __init__(self, address: str, token: str | None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.AsyncClient(base_url=address, headers=headers, timeout=_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def submit(
        self, id: str, command: str, *, cpus: int, gpus: float, environment: Mapping[str, str], job: str
    ) -> None:
        """Have the cluster run a shell command when it has room for it; `job` is shown to its operator."""
        await self._request(
            "POST",
            "/api/jobs/",
            {
                "entrypoint": command,
                "submission_id": id,
                "entrypoint_num_cpus": cpus,
                "entrypoint_num_gpus": gpus,
                "runtime_env": {"env_vars": dict(environment)},
                "metadata": {"braid": job},
            },
        )

    async def get(self, id: str) -> RayJob:
        """Return a job as it is now."""
        return self._decode(await self._request("GET", f"/api/jobs/{id}"), RayJob)

    async def read_logs(self, id: str) -> str:
        """Return what the command wrote, and what Ray wrote of it."""
        return self._decode(await self._request("GET", f"/api/jobs/{id}/logs"), _Logs).logs

    async def stop(self, id: str) -> None:
        """Have a job end, if it hasn't; this doesn't wait for it."""
        await self._request("POST", f"/api/jobs/{id}/stop")

    def _decode(self, content: bytes, type: Any) -> Any:
        try:
            return msgspec.json.decode(content, type=type)
        except msgspec.MsgspecError as error:
            raise RayUnavailable(f"The Ray cluster's answer can't be read: {error}.") from error

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise RayUnavailable(f"The Ray cluster can't be reached ({type(error).__name__}).") from error
        if answer.status_code in (401, 403):
            raise RayUnavailable("The Ray cluster refuses the token.")
        if answer.status_code == 404:
            raise RayJobMissing("The Ray cluster doesn't know the job.")
        if answer.status_code != 200:
            words = " ".join(answer.text.split())[-_MOST_CHARACTERS:]
            raise RayUnavailable(f"The Ray cluster answered {answer.status_code}: {words}")
        return answer.content
