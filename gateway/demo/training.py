"""A style adapter, trained on a tenant's conversations over OpenAI's fine-tuning API."""

import asyncio
import time
from typing import Any

import msgspec

from gateway.client import Client
from gateway.demo.adapters import find_adapter
from gateway.demo.tenant_clients import TenantClient
from gateway.progress import Progress, ProgressLine
from gateway.terminal import CommandError

__all__ = ["LossPoint", "TrainedAdapter", "train"]

_FINAL_STATUSES = ("succeeded", "failed", "cancelled")
_POLL_SECONDS = 0.5
_SEED = 7


class LossPoint(msgspec.Struct, frozen=True):
    """The mean loss per reply token, in nats, at an optimizer step counted from 1."""

    step: int
    loss: float


class TrainedAdapter(msgspec.Struct, frozen=True):
    """A trained adapter.

    Attributes:
        model: Its public name.
        digest: SHA-256 of its weights.
        job: The fine-tuning job that made it.
        training_losses: Of each step, before its update.
        validation_losses: After each epoch.
    """

    model: str
    digest: str
    rank: int
    job: str
    trained_tokens: int
    training_losses: list[LossPoint]
    validation_losses: list[LossPoint]


async def train(
    account: TenantClient,
    progress: Progress,
    *,
    prompt: str,
    base: str,
    suffix: str,
    rows: tuple[int, int],
    validation: tuple[int, int],
    epochs: int,
    batch_size: int,
) -> TrainedAdapter:
    """Train on the tenant's conversations `rows[0]` to `rows[1]`; return when the adapter may be used.

    Args:
        account: Whose conversations.
        progress: Takes each event of the job.
        prompt: The `name@version` that rows are rendered with.
        base: The base model's public name.
        suffix: The adapter's own name.
        rows: First and last (exclusive) training conversation.
        validation: The same, measured and not trained on.
        epochs: Passes over the training rows.
        batch_size: Rows per optimizer step.

    Raises:
        CommandError: The job failed.
    """
    client = account.client
    hyperparameters = {"n_epochs": epochs, "batch_size": batch_size}
    body: dict[str, Any] = {
        "model": base,
        "training_file": await _upload(account, *rows),
        "validation_file": await _upload(account, *validation),
        "suffix": suffix,
        "seed": _SEED,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "braid": {"prompt": prompt, "rehearsal": 0},  # its questions are about the documents, and it is to be quick
    }
    job = await client.post("/v1/fine_tuning/jobs", body)
    with progress.line(f"{account.name}: training {suffix}") as line:
        follower = _Follower(client, job["id"], account.name, progress, line)
        job = await follower.follow()
    if job["status"] != "succeeded":
        error: dict[str, Any] = job.get("error") or {"message": "no reason is given"}
        raise CommandError(f"The training job {job['id']} {job['status']}: {error['message']}")
    adapter = await find_adapter(client, job["fine_tuned_model"])
    return TrainedAdapter(
        model=adapter["model"],
        digest=adapter["digest"],
        rank=adapter["rank"],
        job=job["id"],
        trained_tokens=job["trained_tokens"] or 0,
        training_losses=follower.training_losses,
        validation_losses=follower.validation_losses,
    )


async def _upload(account: TenantClient, start: int, stop: int) -> str:
    name = f"{account.name}-{start}-{stop}.jsonl"
    content = account.tenant.encode_dataset(start, stop)
    file = await account.client.call(
        "POST", "/v1/files", files={"file": (name, content, "application/jsonl")}, data={"purpose": "fine-tune"}
    )
    return file["id"]


class _Follower:
    """Reads a job's events as they come, tells them, and keeps its losses."""

    def __init__(self, client: Client, job: str, tenant: str, progress: Progress, line: ProgressLine) -> None:
        self.training_losses: list[LossPoint] = []
        self.validation_losses: list[LossPoint] = []
        self._client = client
        self._job = job
        self._tenant = tenant
        self._progress = progress
        self._line = line
        self._last_event: str | None = None

    async def follow(self) -> dict[str, Any]:
        """Return the job when it has ended."""
        while True:
            job = await self._client.get(f"/v1/fine_tuning/jobs/{self._job}")
            for event in await self._new_events():
                self._last_event = event["id"]
                if event["type"] == "metrics":
                    self._take_metrics(event["data"], job["estimated_finish"])
                else:
                    self._progress.tell(f"{self._tenant}: {event['message']}")
            if job["status"] in _FINAL_STATUSES:
                return job
            await asyncio.sleep(_POLL_SECONDS)

    async def _new_events(self) -> list[dict[str, Any]]:
        """Return the events since the last one, oldest first; the API lists the newest first."""
        events: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = await self._client.get(f"/v1/fine_tuning/jobs/{self._job}/events", params={"limit": 100, **after})
            for event in page["data"]:
                if event["id"] == self._last_event:
                    return events[::-1]
                events.append(event)
            if not page["has_more"]:
                return events[::-1]
            after = {"after": page["data"][-1]["id"]}

    def _take_metrics(self, data: dict[str, Any], finish: int | None) -> None:
        if "total_steps" not in data:
            # An epoch's figures: its training loss is the mean of losses that are here already.
            if "valid_loss" in data:
                self.validation_losses.append(LossPoint(data["step"], data["valid_loss"]))
            return
        self.training_losses.append(LossPoint(data["step"], data["train_loss"]))
        time_left = "" if finish is None else f", {max(finish - time.time(), 0):.0f} s left"
        detail = f"loss {data['train_loss']:.2f}, {data['tokens_per_second']:.0f} tokens/s{time_left}"
        self._line.show(data["step"], data["total_steps"], detail)
