import re
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.errors import BadRequest
from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.estimate import read_price
from gateway.fine_tuning.event_stream import EventStream, EventStreams
from gateway.fine_tuning.recipe import RecipeBounds
from gateway.fine_tuning.schemas import (
    FineTuningJob,
    FineTuningJobCheckpointList,
    FineTuningJobCreate,
    FineTuningJobEventList,
    FineTuningJobList,
)
from gateway.fine_tuning.service import FineTuningService
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["EventStreamResponse", "router"]

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"], responses=declare_errors(404, 429))

_EVENTS = declare_content("text/event-stream")
_EVENT_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_METADATA = re.compile(r"metadata\[(.+)\]", re.DOTALL)
_METADATA_PARAMETER = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "description": "Pairs that jobs have, each as `metadata[KEY]=VALUE`; `metadata=null` for jobs without any.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


class EventStreamResponse(StreamingResponse):
    """Sends a stream, which is open for as long."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(stream.events, media_type="text/event-stream", headers=_EVENT_HEADERS)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stream.occupy():
            await super().__call__(scope, receive, send)


def _for_writing(session: WriteSession, principal: ManageKey, state: CurrentState) -> FineTuningService:
    return FineTuningService(session, principal, state.storage)


def _for_reading(session: ReadSession, principal: ManageKey, state: CurrentState) -> FineTuningService:
    return FineTuningService(session, principal, state.storage)


def _training_files(principal: ManageKey, state: CurrentState) -> TrainingFiles:
    return TrainingFiles(state.database, principal.tenant, state.artifacts, state.base)


def _metadata(request: Request) -> dict[str, str] | None:
    """Read `metadata[key]=value` pairs; `metadata=null` asks for jobs that have none.

    Raises:
        BadRequest: A filter is written in another way. To pass over it would list jobs that weren't asked for.
    """
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name.startswith("metadata")]
    if pairs == [("metadata", "null")]:
        return None
    matches = [(_METADATA.fullmatch(name), value) for name, value in pairs]
    values = {match[1]: value for match, value in matches if match}
    if len(values) < len(pairs):
        raise BadRequest(
            "A filter by metadata is metadata[KEY]=VALUE, once for each key, or metadata=null alone for jobs without "
            "any.",
            param="metadata",
        )
    return values


def _streams(state: CurrentState) -> EventStreams:
    return cast(EventStreams, state.parts[EventStreams])


Streams = Annotated[EventStreams, Depends(_streams)]
Jobs = Annotated[FineTuningService, Depends(_for_writing)]
SeenJobs = Annotated[FineTuningService, Depends(_for_reading)]
Files = Annotated[TrainingFiles, Depends(_training_files)]
Metadata = Annotated[dict[str, str] | None, Depends(_metadata)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("")
async def create_job(request: FineTuningJobCreate, jobs: Jobs, files: Files, state: CurrentState) -> FineTuningJob:
    bounds = RecipeBounds(state.settings.max_lora_rank, state.pool.max_model_len)
    price = read_price(state.settings)
    return await jobs.create(request, files, state.base_model, bounds, price, state.settings.max_queued_jobs)


@router.get("", openapi_extra={"parameters": [_METADATA_PARAMETER]})
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


@router.post("/{fine_tuning_job_id}/pause")
async def pause_job(fine_tuning_job_id: str, jobs: Jobs) -> FineTuningJob:
    return await jobs.pause(fine_tuning_job_id)


@router.post("/{fine_tuning_job_id}/resume")
async def resume_job(fine_tuning_job_id: str, jobs: Jobs, state: CurrentState) -> FineTuningJob:
    return await jobs.resume(fine_tuning_job_id, state.settings.max_queued_jobs)


@router.get("/{fine_tuning_job_id}/events", response_model=FineTuningJobEventList, responses=_EVENTS)
async def list_events(
    fine_tuning_job_id: str,
    jobs: SeenJobs,
    streams: Streams,
    principal: ManageKey,
    after: str | None = None,
    limit: Limit = 20,
    stream: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> FineTuningJobEventList | Response:
    """List events, newest first; with `stream=true` send each as it happens, from the oldest on, until the job ends."""
    if stream:
        await jobs.get(fine_tuning_job_id)
        return EventStreamResponse(streams.open(principal.tenant, fine_tuning_job_id, last_event_id or after))
    return await jobs.list_events(fine_tuning_job_id, after=after, limit=limit)


@router.get("/{fine_tuning_job_id}/checkpoints")
async def list_checkpoints(
    fine_tuning_job_id: str, jobs: SeenJobs, after: str | None = None, limit: Limit = 10
) -> FineTuningJobCheckpointList:
    return await jobs.list_checkpoints(fine_tuning_job_id, after=after, limit=limit)
