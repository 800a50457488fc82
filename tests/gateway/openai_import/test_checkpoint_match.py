"""Which checkpoint here stands for a hosted one: that of the same part of its training, or the nearest."""

from typing import Any

import pytest

from gateway.openai_import.checkpoint_match import HostedCheckpoint, list_checkpoints, match_checkpoints
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.report import ImportReport, KindCount
from tests.gateway.openai_import.answering_client import AnsweringClient, destination

MODEL = "ft:gpt-4o-mini:acme:voice:AbC"
JOB = "/v1/fine_tuning/jobs/job-here"
KIND = "fine_tuning_checkpoints"


def record(id: str, name: str, step: Any, job: str = "ftjob-1") -> dict[str, Any]:
    return {"id": id, "fine_tuned_model_checkpoint": name, "step_number": step, "fine_tuning_job_id": job}


def list_steps(*records: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    export = ExportFolder({"fine_tuning.job.checkpoint": {one["id"]: one for one in records}}, {}, {}, {})
    return [(one.id, one.step, one.steps) for one in list_checkpoints(export)]


def test_checkpoints_are_listed_by_job_and_step_with_the_steps_of_the_whole() -> None:
    records = [
        record("c", f"{MODEL}:ckpt-step-20", 20),
        record("a", f"{MODEL}:ckpt-step-9", 9),
        record("whole", MODEL, 30),
        record("b", "ft:x:acme:y:Z:ckpt-step-5", 5, "ftjob-0"),
    ]
    assert list_steps(*records) == [("b", 5, None), ("a", 9, 30), ("c", 20, 30)]


@pytest.mark.parametrize(
    ("name", "step", "read"),
    [
        (f"{MODEL}:ckpt-step-7", 7, 7),
        (f"{MODEL}:ckpt-step-7", 8, 8),
        (f"{MODEL}:ckpt-step-7", None, 7),
        (f"{MODEL}:ckpt-step-7", "8", 7),
        (f"{MODEL}:ckpt-step-7", 0, None),
        (f"{MODEL}:ckpt-step-7", -1, None),
        (f"{MODEL}:ckpt-step-x", None, None),
        (MODEL, 7, None),
        (None, 7, None),
    ],
)
def test_a_step_is_the_records_own_or_that_of_its_name(name: Any, step: Any, read: int | None) -> None:
    assert list_steps(record("a", name, step)) == ([] if read is None else [("a", read, None)])


def make_hosted(step: int, steps: int | None, job: str = "ftjob-1") -> HostedCheckpoint:
    return HostedCheckpoint("ckpt", f"{MODEL}:ckpt-step-{step}", job, step, steps)


async def match(
    one: HostedCheckpoint, *steps_here: int, job: dict[str, Any] | None = None, dry_run: bool = False
) -> ImportReport:
    rows = [{"fine_tuned_model_checkpoint": f"here:{step}", "step_number": step} for step in steps_here]
    answers = {JOB: job or {"braid": {"actual": {"steps": 40}}}, f"{JOB}/checkpoints": rows}
    report = ImportReport(dry_run=dry_run)
    async with AnsweringClient(answers) as client:
        await match_checkpoints([one], {"ftjob-1": "job-here"}, destination(client, dry_run=dry_run), report)
    return report


@pytest.mark.parametrize(
    ("one", "here", "chosen", "noted"),
    [
        (make_hosted(10, 20), (10, 20, 40), 20, False),  # the half of the training, as there
        (make_hosted(10, 20), (10, 40), 10, True),
        (make_hosted(10, 20), (16, 24), 16, True),  # as far from either: the earlier one
        (make_hosted(10, 20), (24, 16), 16, True),
        (make_hosted(20, 20), (10, 40), 40, False),
        (make_hosted(7, 20), (14, 40), 14, False),
        (make_hosted(3, 40), (2, 40), 2, True),
        (make_hosted(5, 81), (2, 40), 2, False),  # less than a step away
        (make_hosted(12, None), (12, 40), 12, False),  # of an unknown whole the step itself counts
        (make_hosted(12, None), (20, 40), 20, True),
    ],
)
async def test_the_nearest_part_of_the_training_is_taken_and_a_distance_told(
    one: HostedCheckpoint, here: tuple[int, ...], chosen: int, noted: bool
) -> None:
    report = await match(one, *here)
    assert report.checkpoints == {one.name: f"here:{chosen}"}
    assert report.counts[KIND] == KindCount(total=1, imported=1)
    assert [
        (note.id, note.partly, f"step {chosen} of 40: here:{chosen}" in note.reason) for note in report.omissions
    ] == [("ckpt", True, True)] * noted
    whole = f" of {one.steps or 'an unknown number'} there"
    assert all(whole in note.reason for note in report.omissions)


@pytest.mark.parametrize(
    ("job", "chosen"),
    [
        ({"braid": {"actual": {"steps": 40}, "estimate": {"steps": 4000}}}, 20),
        ({"braid": {"actual": {"steps": 0}, "estimate": {"steps": 40}}}, 20),
        ({"braid": {"estimate": {"steps": 40}}}, 20),
        ({"braid": None}, 10),  # by the last checkpoint, where nothing says how long the training was
    ],
)
async def test_the_whole_training_here_is_as_long_as_it_was_or_was_to_be(job: dict[str, Any], chosen: int) -> None:
    assert (await match(make_hosted(10, 20), 10, 20, job=job)).checkpoints == {
        f"{MODEL}:ckpt-step-10": f"here:{chosen}"
    }


@pytest.mark.parametrize(
    ("job", "here", "reason"), [("ftjob-2", (10,), "isn't trained again"), ("ftjob-1", (), "is kept here")]
)
async def test_a_checkpoint_without_a_counterpart_is_left_out_and_says_why(
    job: str, here: tuple[int, ...], reason: str
) -> None:
    report = await match(make_hosted(10, 20, job), *here)
    assert (report.checkpoints, report.counts[KIND]) == ({}, KindCount(total=1, omitted=1))
    assert [(one.partly, reason in one.reason) for one in report.omissions] == [(False, True)]


async def test_a_dry_run_counts_checkpoints_and_asks_for_none() -> None:
    report = await match(make_hosted(10, 20), dry_run=True)
    assert (report.checkpoints, report.omissions) == ({}, [])
    assert report.counts[KIND] == KindCount(total=1, imported=1)
