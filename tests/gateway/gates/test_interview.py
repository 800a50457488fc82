"""What the parts that an interview asks mean for its job, and where a reply begins among the tokens of a prompt."""

import asyncio
from typing import Any

import pytest

from gateway.engines.errors import AdapterUnservable, EngineError, EngineRefused
from gateway.errors import BadRequest, Conflict, NotFound, Unavailable
from gateway.gates.interview import (
    Likelihood,
    Notes,
    _measure_prefix,  # pyright: ignore[reportPrivateUsage]
    explain_interruptions,
)
from gateway.jobs import JobCancelled, JobDelayed, JobFailed


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (AdapterUnservable("k.x.1", "its rank is too high"), "adapter_rejected", "its rank is too high"),
        (EngineRefused(400, "no"), "engine_refused", "refused the request"),
        (EngineRefused(499, "no"), "engine_refused", "refused the request"),
        (NotFound("The store is gone.", code="store_not_found"), "store_not_found", "The store is gone."),
        (NotFound("The prompt is gone."), "not_found", "The prompt is gone."),
        (BadRequest("It is too long."), "not_found", "It is too long."),
    ],
)
def test_what_cannot_be_had_fails_the_job(error: Exception, code: str, words: str) -> None:
    with pytest.raises(JobFailed) as failed, explain_interruptions():
        raise error
    assert failed.value.code == code
    assert words in failed.value.message


@pytest.mark.parametrize(
    "error", [EngineRefused(500, "no"), EngineError("Away.", detail="x"), Unavailable("The retriever is away.")]
)
def test_what_is_away_is_waited_for(error: Exception) -> None:
    with pytest.raises(JobDelayed) as delayed, explain_interruptions():
        raise error
    assert delayed.value.seconds == 5


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(Conflict), explain_interruptions():
        raise Conflict("x")


@pytest.mark.parametrize(
    ("prompt", "whole", "start"),
    [([1, 2, 3], [1, 2, 3, 4], 3), ([1, 2, 9], [1, 2, 3, 4], 2), ([9], [1, 2], 0), ([], [1], 0), ([1, 2], [1], 1)],
)
def test_a_reply_begins_where_its_tokens_leave_those_of_the_prompt(
    prompt: list[int], whole: list[int], start: int
) -> None:
    assert _measure_prefix(prompt, whole) == start
    assert Likelihood(-6.0, 4).per_token == -1.5


class Job:
    """A claim's state, and whether it was cancelled."""

    def __init__(self, notes: dict[str, Any]) -> None:
        self.state: dict[str, Any] = {"notes": notes}
        self.cancelled = asyncio.Event()
        self.steps: list[bool] = []

    async def save(self, state: dict[str, Any], *, further: bool = False) -> None:
        self.state = state
        self.steps.append(further)


async def test_what_was_noted_is_not_asked_again_also_after_a_kill_or_a_cancellation() -> None:
    job: Any = Job({"a": 1})
    counts: list[int] = []

    async def count(number: int) -> None:
        counts.append(number)

    async def ask() -> Likelihood:
        return Likelihood(-3.0, 2)

    async def never() -> None:
        raise AssertionError("it was asked again")

    notes = Notes(job, count)
    assert (await notes.recall("a", never), notes.count) == (1, 1)
    assert await notes.recall("b", ask) == await notes.recall("b", never) == [-3.0, 2]
    assert job.state == {"notes": {"a": 1}}, "notes are saved now and then"
    await notes.save()
    assert (job.state, counts) == ({"notes": {"a": 1, "b": [-3.0, 2]}}, [2])
    await notes.save()
    assert job.steps == [True, False], "attempts are forgotten where the job got further"
    later = Notes(job, count)
    job.cancelled.set()
    assert await later.recall("b", never) == [-3.0, 2]
    with pytest.raises(JobCancelled):
        await later.recall("c", never)
