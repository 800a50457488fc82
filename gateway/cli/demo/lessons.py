"""A style adapter from conversations, over OpenAI's fine-tuning API."""

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.cli.client import Gateway
from gateway.cli.demo.accounts import Account
from gateway.cli.demo.narration import Narration, ProgressLine
from gateway.cli.exits import CliError

__all__ = ["Adapter", "find_adapter", "train"]

_ENDED = ("succeeded", "failed", "cancelled")
_POLL_SECONDS = 0.5
_SEED = 7


@dataclass(frozen=True)
class Adapter:
    """A trained adapter; `model` is its public name, `digest` the SHA-256 of its weights."""

    model: str
    digest: str
    rank: int
    job: str
    trained_tokens: int


async def train(
    account: Account,
    narration: Narration,
    *,
    prompt: str,
    base: str,
    suffix: str,
    rows: tuple[int, int],
    validation: tuple[int, int] | None = None,
    epochs: int | None = None,
) -> Adapter:
    """Train on the tenant's conversations `rows[0]` to `rows[1]`; returns when the adapter may be used.

    Args:
        account: Whose conversations.
        narration: Takes progress, and each event of the job that isn't a metric.
        prompt: The `name@version` that rows are rendered with.
        base: The base model's public name.
        suffix: The adapter's own name.
        rows: First and last (exclusive) training conversation.
        validation: The same, measured and not trained on.
        epochs: How often the rows are seen; None lets the trainer choose.
    """
    gateway = account.gateway
    body: dict[str, Any] = {
        "model": base,
        "training_file": await _upload(account, *rows),
        "suffix": suffix,
        "seed": _SEED,
        "braid": {"prompt": prompt},
    }
    if validation is not None:
        body["validation_file"] = await _upload(account, *validation)
    if epochs is not None:
        body["method"] = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}}
    job = await gateway.post("/v1/fine_tuning/jobs", body)
    with narration.progress(f"{account.tenant.name}: training {suffix}") as progress:
        job = await _follow(account, job["id"], narration, progress)
    if job["status"] != "succeeded":
        error: dict[str, Any] = job.get("error") or {"message": "no reason is given"}
        raise CliError(f"The training job {job['id']} {job['status']}: {error['message']}")
    adapter = await find_adapter(gateway, job["fine_tuned_model"])
    return Adapter(adapter["model"], adapter["digest"], adapter["rank"], job["id"], job["trained_tokens"] or 0)


async def find_adapter(gateway: Gateway, model: str) -> dict[str, Any]:
    """Return what `GET /api/adapters/…` says of an adapter."""
    return await gateway.get(f"/api/adapters/{model}")


async def _upload(account: Account, start: int, stop: int) -> str:
    name = f"{account.tenant.name}-{start}-{stop}.jsonl"
    content = account.tenant.dataset(start, stop)
    made = await account.gateway.call(
        "POST", "/v1/files", files={"file": (name, content, "application/jsonl")}, data={"purpose": "fine-tune"}
    )
    return made["id"]


async def _follow(account: Account, job: str, narration: Narration, progress: ProgressLine) -> dict[str, Any]:
    """Show a job's events as they come, until it has ended; returns the job."""
    gateway = account.gateway
    seen: str | None = None
    while True:
        state = await gateway.get(f"/v1/fine_tuning/jobs/{job}")
        for event in await _events_after(gateway, job, seen):
            seen = event["id"]
            if event["type"] == "metrics":
                _show(progress, event["data"])
            else:
                narration.tell(f"{account.tenant.name}: {event['message']}")
        if state["status"] in _ENDED:
            return state
        await asyncio.sleep(_POLL_SECONDS)


async def _events_after(gateway: Gateway, job: str, seen: str | None) -> list[dict[str, Any]]:
    """Return what is new, oldest first; the API lists the newest first."""
    fresh: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = await gateway.get(f"/v1/fine_tuning/jobs/{job}/events", params={"limit": 100, **after})
        for event in page["data"]:
            if event["id"] == seen:
                return fresh[::-1]
            fresh.append(event)
        if not page["has_more"]:
            return fresh[::-1]
        after = {"after": page["data"][-1]["id"]}


def _show(progress: ProgressLine, data: dict[str, Any]) -> None:
    if "step" not in data:
        return
    loss = f"loss {data['train_loss']:.2f}" if "train_loss" in data else ""
    speed = f"{data['tokens_per_second']:.0f} tokens/s" if "tokens_per_second" in data else ""
    left = f"{data['seconds_left']:.0f} s left" if "seconds_left" in data else ""
    detail = ", ".join(part for part in (loss, speed, left) if part)
    progress.at(data["step"], data.get("total_steps") or data.get("steps") or data["step"], detail)
