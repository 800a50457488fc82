"""What the parts that an interview asks mean for its job, and where a reply begins among the tokens of a prompt."""

import pytest

from gateway.engines.errors import AdapterRejected, EngineError, EngineRefused
from gateway.errors import BadRequest, Conflict, NotFound, Unavailable
from gateway.gates.interview import (
    Likelihood,
    _measure_prefix,  # pyright: ignore[reportPrivateUsage]
    explain_interruptions,
)
from gateway.jobs import JobDelayed, JobFailed


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (AdapterRejected("k.x.1", "its rank is too high"), "adapter_rejected", "its rank is too high"),
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
