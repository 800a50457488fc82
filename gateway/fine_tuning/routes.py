import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.recipe import RecipeBounds
from gateway.fine_tuning.schemas import (
    FineTuningJob,
    FineTuningJobCheckpointList,
    FineTuningJobCreate,
    FineTuningJobEventList,
    FineTuningJobList,
)
from gateway.fine_tuning.service import FineTuningService
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"], responses=declare_errors(404, 429))

_METADATA = re.compile(r"metadata\[(.+)\]")


def _for_writing(session: WriteSession, principal: ManageKey, state: CurrentState) -> FineTuningService:
    return FineTuningService(session, principal, state.storage)


def _for_reading(session: ReadSession, principal: ManageKey, state: CurrentState) -> FineTuningService:
    return FineTuningService(session, principal, state.storage)


def _training_files(principal: ManageKey, state: CurrentState) -> TrainingFiles:
    return TrainingFiles(state.database, principal.tenant, state.artifacts, state.base)


def _metadata(request: Request) -> dict[str, str] | None:
    """Read `metadata[key]=value` pairs; `metadata=null` asks for jobs that have none."""
    if request.query_params.get("metadata") == "null":
        return None
    pairs = ((_METADATA.fullmatch(name), value) for name, value in request.query_params.multi_items())
    return {match[1]: value for match, value in pairs if match}


Jobs = Annotated[FineTuningService, Depends(_for_writing)]
SeenJobs = Annotated[FineTuningService, Depends(_for_reading)]
Files = Annotated[TrainingFiles, Depends(_training_files)]
Metadata = Annotated[dict[str, str] | None, Depends(_metadata)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("")
async def create_job(request: FineTuningJobCreate, jobs: Jobs, files: Files, state: CurrentState) -> FineTuningJob:
    bounds = RecipeBounds(state.settings.max_lora_rank, state.pool.max_model_len)
    return await jobs.create(request, files, state.base_model, bounds, state.settings.max_queued_jobs)


@router.get("")
async def list_jobs(
    jobs: SeenJobs, metadata: Metadata, after: str | None = None, limit: Limit = 20
) -> FineTuningJobList:
    return await jobs.list(after=after, limit=limit, metadata=metadata)


@router.get("/{fine_tuning_job_id}")
async def retrieve_job(fine_tuning_job_id: str, jobs: SeenJobs) -> FineTuningJob:
    return await jobs.get(fine_tuning_job_id)


@router.post("/{fine_tuning_job_id}/cancel")
async def cancel_job(fine_tuning_job_id: str, jobs: Jobs) -> FineTuningJob:
    return await jobs.cancel(fine_tuning_job_id)


@router.get("/{fine_tuning_job_id}/events")
async def list_events(
    fine_tuning_job_id: str, jobs: SeenJobs, after: str | None = None, limit: Limit = 20
) -> FineTuningJobEventList:
    return await jobs.events(fine_tuning_job_id, after=after, limit=limit)


@router.get("/{fine_tuning_job_id}/checkpoints")
async def list_checkpoints(
    fine_tuning_job_id: str, jobs: SeenJobs, after: str | None = None, limit: Limit = 10
) -> FineTuningJobCheckpointList:
    return await jobs.checkpoints(fine_tuning_job_id, after=after, limit=limit)
