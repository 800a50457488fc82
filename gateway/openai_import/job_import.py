"""Fine-tuned models made again: jobs with the same files and numbers, and the old names for what they make."""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from gateway.client import GatewayError
from gateway.openai_import.checkpoint_match import list_checkpoints, match_checkpoints
from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder, read_member
from gateway.openai_import.model_names import name_models
from gateway.openai_import.report import SOURCE_KEY, ImportReport, add_source
from gateway.openai_import.training_request import HostedTraining, make_request, read_training

__all__ = ["Confirm", "import_models", "list_trainings"]

_JOBS = "/v1/fine_tuning/jobs"
_KIND = "fine_tuning_jobs"
_FINAL_STATUSES = ("succeeded", "failed", "cancelled")

Confirm = Callable[[Sequence[HostedTraining]], bool]


def _say_left(finish: int) -> str:
    """Return how long what runs takes still; nothing where it isn't known yet."""
    return f"(what runs takes some {max(finish - time.time(), 60) / 60:.0f} min more)" if finish else ""


def list_trainings(export: ExportFolder, report: ImportReport) -> list[HostedTraining]:
    """Return an export's jobs that can be done again, oldest first; the report says why the others can't."""
    jobs = sorted(export.of("fine_tuning.job").values(), key=lambda job: job.get("created_at") or 0)
    report.count(_KIND).total = len(jobs)
    trainings: list[HostedTraining] = []
    for job in jobs:
        training = read_training(job)
        if isinstance(training, str):
            report.omit(_KIND, str(job["id"]), str(job.get("fine_tuned_model") or ""), training)
        else:
            trainings.append(training)
    return trainings


async def import_models(
    export: ExportFolder, gateway: Destination, report: ImportReport, files: Mapping[str, str], confirm: Confirm
) -> None:
    """Train an export's models again, wait for them, and have their old names answer.

    Jobs that an earlier run created are waited for; `confirm` is asked before new ones are created.
    """
    trainings = list_trainings(export, report)
    models = _Models(gateway, report, files, export.of("file"))
    ready = [one for one in trainings if models.find_files(one) is not None]
    jobs = {one.id: await models.find_job(one) for one in ready}
    missing = [one for one in ready if jobs[one.id] is None]
    report.count(_KIND).present = len(ready) - len(missing)
    if missing and not (gateway.dry_run or confirm(missing)):
        report.untrained = [one.model for one in missing]
        ready = [one for one in ready if jobs[one.id] is not None]
    if gateway.dry_run:
        report.count(_KIND).imported = len(missing)
        report.models = {one.model: (jobs[one.id] or {}).get("fine_tuned_model") or "" for one in ready}
        for one in missing:
            models.note_changes(one, models.plan(one, one.start if one.start in report.models else gateway.base)[1])
        await match_checkpoints(list_checkpoints(export), {one.id: "" for one in ready}, gateway, report)
        return
    successes = await models.train(ready, jobs)
    await match_checkpoints(list_checkpoints(export), successes, gateway, report)
    new = {one.model: report.models[one.model] for one in ready if one.model in report.models}
    await name_models(gateway, report, new | report.checkpoints)


class _Models:
    """Makes models again; the report's `models` has their names here by the names there."""

    def __init__(
        self, gateway: Destination, report: ImportReport, files: Mapping[str, str], export: Container[str]
    ) -> None:
        self._gateway = gateway
        self._report = report
        self._files = files
        self._export = export

    def find_files(self, training: HostedTraining) -> tuple[str, str | None] | None:
        """Return the ids here of a job's files; None, and a reason in the report, where it has no training file.

        Without its validation file a job is done without one.
        """
        id, validation = str(training.job.get("training_file")), training.job.get("validation_file")
        if id not in self._files:
            self._report.omit(_KIND, training.id, training.model, f"its training file {self._say_missing(id)}")
            return None
        return self._files[id], self._files.get(validation) if validation else None

    def _say_missing(self, id: str) -> str:
        if id in self._export:
            return f"{id} isn't taken, see there"
        return f"{id} isn't in the export: it was deleted there, or never listed"

    async def find_job(self, training: HostedTraining) -> dict[str, Any] | None:
        """Return the job here that was created for a hosted one and hasn't failed."""
        query = {f"metadata[{SOURCE_KEY}]": training.id, "limit": 100}
        jobs = (await self._gateway.client.get(_JOBS, params=query))["data"]
        return next((job for job in jobs if job["status"] not in ("failed", "cancelled")), None)

    async def train(
        self, trainings: Sequence[HostedTraining], jobs: Mapping[str, dict[str, Any] | None]
    ) -> dict[str, str]:
        """Create the jobs that aren't there, each after the one that it begins at, and wait until all have ended.

        Return the ids of those that made a model by the ids of the hosted ones.
        """
        made_here = {one.model for one in trainings}
        waiting, running, successes = list(trainings), dict[str, HostedTraining](), dict[str, str]()
        count = 0
        while waiting or running:
            finish = 0
            for training in list(waiting):
                start = self._find_start(training, made_here)
                if start is None:
                    continue
                waiting.remove(training)
                job = jobs[training.id] or await self._create(training, start)
                if job is not None:
                    running[job["id"]] = training
                else:
                    made_here.discard(training.model)
            for id, training in list(running.items()):
                job = await self._gateway.client.get(f"{_JOBS}/{id}")
                if job["status"] not in _FINAL_STATUSES:
                    finish = max(finish, job["estimated_finish"] or 0)
                    continue
                del running[id]
                count += 1
                if self._settle(training, job, made_here):
                    successes[training.id] = id
            self._gateway.show("trainings", count, len(trainings), _say_left(finish))
            if running:
                await self._gateway.sleep()
        return successes

    def _find_start(self, training: HostedTraining, made_here: set[str]) -> str | None:
        """Return the model here that a training begins at; None while that is still being trained."""
        if training.start in made_here:
            return self._report.models.get(training.start)
        return self._gateway.base

    def plan(self, training: HostedTraining, start: str) -> tuple[dict[str, Any], list[str]]:
        """Return the body of a request for a job, and what in it is other than it was."""
        files = self.find_files(training)
        assert files is not None  # those without aren't trained
        metadata = add_source(self._report, _KIND, training.id, training.job.get("metadata"))
        body, changes = make_request(training, start, *files, metadata)
        validation = training.job.get("validation_file")
        if validation and files[1] is None:
            changes.append(f"it is trained without validation: its file {self._say_missing(validation)}")
        if training.start.startswith("ft:") and start == self._gateway.base:
            changes.append(f"it began at {training.start}; here it begins at the base model, with these rows alone")
        return body, changes

    def note_changes(self, training: HostedTraining, changes: Sequence[str]) -> None:
        """Say in the report what is other than it was."""
        for change in changes:
            self._report.note(_KIND, training.id, training.model, change)

    async def _create(self, training: HostedTraining, start: str) -> dict[str, Any] | None:
        body, changes = self.plan(training, start)
        try:
            job = await self._gateway.create(_JOBS, body)
        except GatewayError as error:
            if not self._gateway.is_refusal(error):
                raise
            self._report.omit(_KIND, training.id, training.model, str(error))
            return None
        self._report.count(_KIND).imported += 1
        self.note_changes(training, changes)
        return job

    def _settle(self, training: HostedTraining, job: Mapping[str, Any], made_here: set[str]) -> bool:
        """Write down what became of a training, and tell whether it made a model."""
        if job["status"] == "succeeded":
            self._report.models[training.model] = job["fine_tuned_model"]
            return True
        made_here.discard(training.model)  # a training that was to begin at it begins at the base model
        message = read_member(job, "error").get("message") or f"its training here was {job['status']}"
        self._report.omit(_KIND, training.id, training.model, str(message))
        return False
