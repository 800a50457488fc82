"""Trainings made again: what is told while they run. Requests, names: `test_training_request`, `test_import`."""

import time
from typing import Any

from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.job_import import import_models
from gateway.openai_import.report import ImportReport
from tests.gateway.openai_import.answering_client import AnsweringClient

JOBS = "/v1/fine_tuning/jobs"
HOSTED = {"id": "ftjob-there", "status": "succeeded", "fine_tuned_model": "ft:gpt:acme::A", "training_file": "file-1"}


async def test_while_trainings_run_it_is_told_how_long_they_take_still() -> None:
    here: dict[str, Any] = {"id": "ftjob-here", "status": "running", "estimated_finish": None}
    steps = (
        here,
        here | {"estimated_finish": int(time.time()) + 305},
        here | {"status": "failed", "error": {"message": "No."}},
    )
    told: list[tuple[int, int, str]] = []
    client = AnsweringClient({JOBS: [here], f"{JOBS}/ftjob-here": steps})
    gateway = Destination(client, "base", lambda _title, *progress: told.append(progress), dry_run=False, pause=0.001)
    export, report = ExportFolder({"fine_tuning.job": {"ftjob-there": HOSTED}}, {}, {}, {}), ImportReport(dry_run=False)
    await import_models(export, gateway, report, {"file-1": "file-here"}, lambda _trainings: True)
    assert told == [(0, 1, ""), (0, 1, "(what runs takes some 5 min more)"), (1, 1, "")]
    assert [one.reason for one in report.omissions] == ["No."]
