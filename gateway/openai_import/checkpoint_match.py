"""Hosted checkpoints and those that were kept of the same training here: who asks for an epoch gets the nearest one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder, read_member
from gateway.openai_import.report import ImportReport

__all__ = ["HostedCheckpoint", "list_checkpoints", "match_checkpoints"]

_KIND = "fine_tuning_checkpoints"
_MARK = ":ckpt-step-"


@dataclass(frozen=True, slots=True)
class HostedCheckpoint:
    """A state of a model on the way to it, under a name of its own.

    `steps` are those of its whole training there; None where the export doesn't have the finished model's checkpoint.
    """

    id: str
    name: str
    job: str
    step: int
    steps: int | None


def list_checkpoints(export: ExportFolder) -> list[HostedCheckpoint]:
    """Return an export's checkpoints that have names of their own, in the order of jobs and steps."""
    records = [one for one in export.of("fine_tuning.job.checkpoint").values() if _read_step(one) is not None]
    steps = {_read_job(one): _read_step(one) for one in records if _MARK not in _read_name(one)}
    checkpoints = [
        HostedCheckpoint(
            str(one["id"]), _read_name(one), _read_job(one), _read_step(one) or 0, steps.get(_read_job(one))
        )
        for one in records
        if _MARK in _read_name(one)
    ]
    return sorted(checkpoints, key=lambda one: (one.job, one.step))


async def match_checkpoints(
    checkpoints: Sequence[HostedCheckpoint], jobs: Mapping[str, str], gateway: Destination, report: ImportReport
) -> None:
    """Write to the report which checkpoint here stands for each hosted one, and where it is of another step.

    Args:
        checkpoints: Of the export.
        jobs: The ids of the trainings here that made a model, by the ids there.
        gateway: Where they were trained.
        report: Its `checkpoints` has the names there and here.
    """
    counts = report.count(_KIND)
    counts.total = len(checkpoints)
    for one in checkpoints:
        if one.job not in jobs:
            report.omit(_KIND, one.id, one.name, "its model isn't trained again here, see there")
            continue
        if gateway.dry_run:
            counts.imported += 1
            continue
        path = f"/v1/fine_tuning/jobs/{jobs[one.job]}"
        steps = _count_steps(await gateway.client.get(path))
        candidates = [row async for row in gateway.client.read_rows(f"{path}/checkpoints")]
        if not candidates:
            report.omit(_KIND, one.id, one.name, "no checkpoint of its training is kept here")
            continue
        _take_nearest(one, candidates, max(steps, *(row["step_number"] for row in candidates)), report)


def _take_nearest(
    one: HostedCheckpoint, candidates: Sequence[Mapping[str, Any]], steps: int, report: ImportReport
) -> None:
    """Compare parts of the whole training, which are the same epochs; steps alone where the whole isn't known."""
    place = one.step if one.steps is None else one.step / one.steps * steps
    nearest = min(candidates, key=lambda row: (abs(row["step_number"] - place), row["step_number"]))
    name, step = nearest["fine_tuned_model_checkpoint"], nearest["step_number"]
    report.checkpoints[one.name] = name
    report.count(_KIND).imported += 1
    if abs(step - place) < 1:
        return
    whole = "an unknown number" if one.steps is None else one.steps
    reason = (
        f"it is of step {one.step} of {whole} there; the nearest that is kept here is of step {step} of {steps}: {name}"
    )
    report.note(_KIND, one.id, one.name, reason)


def _count_steps(job: Mapping[str, Any]) -> int:
    braid = read_member(job, "braid")
    steps = read_member(braid, "actual").get("steps") or read_member(braid, "estimate").get("steps")
    return int(steps or 0)


def _read_name(record: Mapping[str, Any]) -> str:
    return str(record.get("fine_tuned_model_checkpoint") or "")


def _read_job(record: Mapping[str, Any]) -> str:
    return str(record.get("fine_tuning_job_id") or "")


def _read_step(record: Mapping[str, Any]) -> int | None:
    """Return a checkpoint's step, which stands in its name too; None where it isn't there."""
    step = record.get("step_number")
    digits = _read_name(record).rpartition(_MARK)[2]
    if not isinstance(step, int) and digits.isdecimal():
        return int(digits)
    return step if isinstance(step, int) and step > 0 else None
