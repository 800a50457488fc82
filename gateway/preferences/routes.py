from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from gateway.answers.log import AnswerLog
from gateway.answers.service import CitedDocuments, flush_records
from gateway.fine_tuning.estimate import read_price
from gateway.fine_tuning.recipe import RecipeBounds
from gateway.preferences.schemas import (
    ComparisonDatasetCreate,
    ComparisonFineTune,
    FeedbackDatasetCreate,
    FeedbackFineTune,
    PreferenceDataset,
    PreferenceTraining,
)
from gateway.preferences.service import PreferenceService, TrainingMeans
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["preferences"], responses=declare_errors(404, 409, 429))


async def _service(request: Request, principal: ManageKey, state: CurrentState) -> PreferenceService:
    await flush_records(part_of(request, AnswerLog))
    bounds = RecipeBounds(state.settings.max_lora_rank, state.pool.max_model_len)
    price, most = read_price(state.settings), state.settings.max_queued_jobs
    means = TrainingMeans(state.base_model, state.base, bounds, price, most)
    documents = part_of(request, CitedDocuments)
    return PreferenceService(state.database, state.artifacts, state.storage, documents, principal, means)


Preferences = Annotated[PreferenceService, Depends(_service)]


@router.post("/comparisons/{comparison_id}/dataset", status_code=201)
async def make_comparison_dataset(
    comparison_id: str, request: ComparisonDatasetCreate, preferences: Preferences
) -> PreferenceDataset:
    """Make a training file of the pairs that voters agree on, and one of pairs to be held out."""
    return await preferences.make_of_comparison(comparison_id, request)


@router.post("/comparisons/{comparison_id}/fine_tune", status_code=201)
async def fine_tune_on_comparison(
    comparison_id: str, request: ComparisonFineTune, preferences: Preferences
) -> PreferenceTraining:
    """Make such files, and a fine-tuning job that learns them."""
    return await preferences.train_on_comparison(comparison_id, request)


@router.post("/feedback/dataset", status_code=201)
async def make_feedback_dataset(request: FeedbackDatasetCreate, preferences: Preferences) -> PreferenceDataset:
    """Make a training file of preferences from feedback on answers, and one of pairs to be held out."""
    return await preferences.make_of_feedback(request)


@router.post("/feedback/fine_tune", status_code=201)
async def fine_tune_on_feedback(request: FeedbackFineTune, preferences: Preferences) -> PreferenceTraining:
    """Make such files, and a fine-tuning job that learns them."""
    return await preferences.train_on_feedback(request)
