"""A hosted fine-tuning job as a request for one here: the same files, method and numbers, within the bounds here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.openai_import.export_folder import read_member

__all__ = ["HostedTraining", "make_request", "read_training"]

_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "n_epochs": (1, 50),
    "batch_size": (1, 256),
    "learning_rate_multiplier": (1e-6, 100),
    "beta": (1e-6, 2),
}
_LARGEST_SEED = 2_147_483_647


@dataclass(frozen=True, slots=True)
class HostedTraining:
    """A job that made a model there: its id, the model's name, the model that it began at, and the method."""

    id: str
    model: str
    start: str
    method: str
    job: Mapping[str, Any]


def read_training(job: Mapping[str, Any]) -> HostedTraining | str:
    """Return a job that can be done again, or why it can't."""
    model, status = job.get("fine_tuned_model"), job.get("status")
    if status != "succeeded" or not isinstance(model, str) or not model:
        return f"it is {status} there, and made no model"
    method = read_member(job, "method")
    kind = str(method.get("type") or "supervised")
    if kind not in ("supervised", "dpo"):
        return f"the method {kind!r} doesn't exist here; supervised and dpo do"
    return HostedTraining(str(job["id"]), model, str(job.get("model")), kind, job)


def make_request(
    training: HostedTraining, start: str, training_file: str, validation_file: str | None, metadata: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the body of a request for a job, and what in it is other than it was.

    Args:
        training: The hosted job.
        start: The model here that training begins at.
        training_file: The id here.
        validation_file: The same.
        metadata: Of the new job.
    """
    changes: list[str] = []
    hyperparameters = _bound(_read_hyperparameters(training), changes)
    body: dict[str, Any] = {
        "model": start,
        "training_file": training_file,
        "method": {"type": training.method, training.method: {"hyperparameters": hyperparameters}},
        "metadata": dict(metadata),
    }
    if validation_file is not None:
        body["validation_file"] = validation_file
    seed = training.job.get("seed")
    if isinstance(seed, int) and 0 <= seed <= _LARGEST_SEED:
        body["seed"] = seed
    suffix = _find_suffix(training)
    if suffix:
        body["suffix"] = suffix
    if training.job.get("integrations"):
        changes.append("its integrations aren't taken: nothing is sent to other services")
    return body, changes


def _read_hyperparameters(training: HostedTraining) -> Mapping[str, Any]:
    """Return the numbers as they were; they stand with the method, in older jobs beside it."""
    method = read_member(read_member(training.job, "method"), training.method)
    own, old = read_member(method, "hyperparameters"), read_member(training.job, "hyperparameters")
    names = [name for name in _BOUNDS if name != "beta" or training.method == "dpo"]
    numbers = {name: own.get(name, old.get(name)) for name in names}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) or value == "auto"}


def _bound(hyperparameters: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    bounded: dict[str, Any] = {}
    for name, value in hyperparameters.items():
        low, high = _BOUNDS[name]
        bounded[name] = value if value == "auto" else min(max(value, low), high)
        if name in ("n_epochs", "batch_size") and value != "auto":
            bounded[name] = int(bounded[name])
        if bounded[name] != value:
            changes.append(f"{name} is {bounded[name]} instead of {value}: from {low:g} to {high:g} are possible here")
    return bounded


def _find_suffix(training: HostedTraining) -> str | None:
    """Return the part of a hosted name that its owner chose: `ft:BASE:ORGANIZATION:SUFFIX:ID`."""
    parts = training.model.split(":")
    suffix = str(training.job.get("user_provided_suffix") or (parts[3] if len(parts) > 4 else ""))
    return suffix if _SUFFIX.fullmatch(suffix) else None
