"""What a hosted job becomes: a request that the gateway's own bounds let through, and a list of what is other in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fine_tuning.schemas import FineTuningJobCreate
from gateway.openai_import.report import SOURCE_KEY, ImportReport, add_source
from gateway.openai_import.training_request import HostedTraining, make_request, read_training

NAME = "ft:gpt-4o-mini-2024-07-18:acme:voice:AbC123"
JOB: dict[str, Any] = {"id": "ftjob-1", "status": "succeeded", "fine_tuned_model": NAME, "model": "gpt-4o-mini"}


def read(**members: Any) -> HostedTraining:
    training = read_training(JOB | members)
    assert isinstance(training, HostedTraining)
    return training


def request(**members: Any) -> tuple[dict[str, Any], list[str]]:
    return make_request(read(**members), "base", "file-a", None, {"openai_id": "ftjob-1"})


def method(kind: str, **numbers: Any) -> dict[str, Any]:
    return {"type": kind, kind: {"hyperparameters": numbers}}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"status": "failed"}, "failed"),
        ({"status": "running", "fine_tuned_model": None}, "running"),
        ({"fine_tuned_model": ""}, "made no model"),
        ({"fine_tuned_model": None}, "made no model"),
        ({"method": {"type": "reinforcement"}}, "'reinforcement' doesn't exist here"),
    ],
)
def test_a_job_that_cannot_be_done_again_says_why(members: dict[str, Any], reason: str) -> None:
    answer = read_training(JOB | members)
    assert isinstance(answer, str)
    assert reason in answer


@pytest.mark.parametrize("said", [None, {}, {"type": None}, {"type": "supervised"}, "supervised"])
def test_a_job_without_a_method_is_supervised(said: Any) -> None:
    training = read(method=said)
    assert (training.id, training.model, training.start, training.method) == (
        "ftjob-1",
        NAME,
        "gpt-4o-mini",
        "supervised",
    )


def test_numbers_stand_with_the_method_and_in_older_jobs_beside_it() -> None:
    old = {"n_epochs": 4, "batch_size": 8, "beta": 0.3, "unknown": 1}
    body, changes = request(method=method("dpo", n_epochs=2, beta="auto"), hyperparameters=old)
    assert body["method"]["dpo"]["hyperparameters"] == {"n_epochs": 2, "batch_size": 8, "beta": "auto"}
    body, _ = request(hyperparameters=old | {"learning_rate_multiplier": None})
    assert body["method"] == method("supervised", n_epochs=4, batch_size=8), "beta is of preferences alone"
    assert changes == []


@pytest.mark.parametrize(
    ("numbers", "taken"),
    [
        ({"n_epochs": 50}, 50),
        ({"n_epochs": 51}, 50),
        ({"n_epochs": 0}, 1),
        ({"n_epochs": 2.5}, 2),
        ({"batch_size": 0}, 1),
        ({"batch_size": 257}, 256),
        ({"batch_size": "auto"}, "auto"),
        ({"learning_rate_multiplier": 1000}, 100),
        ({"learning_rate_multiplier": 0}, 1e-6),
        ({"learning_rate_multiplier": 1.8}, 1.8),
        ({"beta": 0}, 1e-6),
        ({"beta": 3}, 2),
    ],
)
def test_a_number_beyond_the_bounds_here_is_the_bound_and_is_told(numbers: dict[str, Any], taken: Any) -> None:
    ((name, value),) = numbers.items()
    kind = "dpo" if name == "beta" else "supervised"
    body, changes = request(method=method(kind, **numbers))
    assert body["method"] == method(kind, **{name: taken})
    assert [change.split(":")[0] for change in changes] == (
        [f"{name} is {taken} instead of {value}"] if taken != value else []
    )


NUMBER = st.just("auto") | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.sampled_from(["supervised", "dpo"]),
    st.dictionaries(st.sampled_from(["n_epochs", "batch_size", "learning_rate_multiplier", "beta"]), NUMBER),
    st.none() | st.integers() | st.text(max_size=3),
    st.text(max_size=70),
)
def test_whatever_a_job_had_the_request_is_one_that_is_taken_here(
    kind: str, numbers: dict[str, Any], seed: Any, suffix: str
) -> None:
    body, _ = request(method=method(kind, **numbers), seed=seed, user_provided_suffix=suffix)
    FineTuningJobCreate.model_validate(body)


@pytest.mark.parametrize(
    ("members", "suffix"),
    [
        ({}, "voice"),
        ({"user_provided_suffix": "mine"}, "mine"),
        ({"user_provided_suffix": "two words"}, None),
        ({"user_provided_suffix": "x" * 65}, None),
        ({"user_provided_suffix": "x" * 64}, "x" * 64),
        ({"fine_tuned_model": "ft:gpt-4o-mini:acme::AbC"}, None),
        ({"fine_tuned_model": "ft:gpt-4o-mini:acme:AbC"}, None),
        ({"fine_tuned_model": "ft:gpt-4o-mini:acme:voice:AbC:ckpt-step-9"}, "voice"),
    ],
)
def test_the_suffix_is_what_its_owner_chose(members: dict[str, Any], suffix: str | None) -> None:
    assert request(**members)[0].get("suffix") == suffix


@pytest.mark.parametrize(
    ("seed", "taken"),
    [(0, 0), (42, 42), (2_147_483_647, 2_147_483_647), (2_147_483_648, None), (-1, None), ("4", None)],
)
def test_a_seed_is_taken_where_it_is_possible_here(seed: Any, taken: int | None) -> None:
    assert request(seed=seed)[0].get("seed") == taken


def test_files_and_integrations_are_named_only_where_there_are_some() -> None:
    bare, nothing = request(integrations=[])
    assert set(bare) == {"model", "training_file", "method", "metadata", "suffix"}
    assert nothing == []
    full, changes = make_request(read(integrations=[{"type": "wandb"}]), "base", "file-a", "file-b", {})
    assert (full["training_file"], full["validation_file"]) == ("file-a", "file-b")
    assert ["integrations" in change for change in changes] == [True]


@pytest.mark.parametrize(("keys", "dropped"), [(0, []), (15, []), (16, ["k15"]), (17, ["k15", "k16"])])
def test_metadata_have_room_for_the_id_at_openai(keys: int, dropped: list[str]) -> None:
    report = ImportReport(dry_run=False)
    metadata = {SOURCE_KEY: "of another import"} | {f"k{number}": number for number in range(keys)}
    own = add_source(report, "evals", "eval_1", metadata)
    assert own == {f"k{number}": str(number) for number in range(min(keys, 15))} | {SOURCE_KEY: "eval_1"}
    assert [(note.id, note.partly, str(dropped) in note.reason) for note in report.omissions] == [
        ("eval_1", True, True)
    ] * bool(dropped)
    assert report.counts == {}, "what is taken in part is no omission of the whole"


def test_an_object_without_metadata_gets_its_id() -> None:
    assert add_source(ImportReport(dry_run=False), "evals", "eval_1", None) == {SOURCE_KEY: "eval_1"}
