"""A request for a fine-tuning job, checked: its method, its numbers, and the model that is trained on from."""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.identity import check_name
from gateway.adapters.service import AdapterRow, check_set_aside, find_ready
from gateway.errors import BadRequest, Unavailable
from gateway.fine_tuning.schemas import DpoHyperparameters, FineTuningBraidOptions, FineTuningJobCreate, Hyperparameters
from gateway.vector_stores.service import check_filled_stores, check_stores

__all__ = ["check_named_stores", "check_request", "find_start"]


def check_request(request: FineTuningJobCreate, base: str) -> tuple[Literal["supervised", "dpo"], Hyperparameters]:
    """Return the request's method and its numbers, `DpoHyperparameters` for `dpo`.

    Raises:
        BadRequest: Something in it can't be done here.
        Unavailable: No base model is known yet.
    """
    if not base:
        raise Unavailable("No engine has told which base model it serves. Try again when GET /readyz says 200.")
    if request.integrations:
        raise BadRequest(
            "Integrations are not supported: nothing is sent to other services. Leave them out; the job's events and "
            "its result file have the metrics.",
            param="integrations",
        )
    if request.suffix is not None:
        check_name(request.suffix, param="suffix")
    method = request.method
    if method is None:
        return "supervised", request.hyperparameters or Hyperparameters()
    if method.type == "reinforcement":
        raise BadRequest(
            "The method 'reinforcement' is not supported; use 'supervised', or 'dpo' with preferences.",
            param="method.type",
            code="unsupported_method",
        )
    others = [name for name in ("supervised", "dpo", "reinforcement") if name != method.type]
    if other := next((name for name in others if getattr(method, name) is not None), None):
        raise BadRequest(
            f"The method is {method.type!r}, and there are numbers for {other!r}. Give those of the one method.",
            param=f"method.{other}",
        )
    if method.type == "supervised":
        own = method.supervised and method.supervised.hyperparameters
        return "supervised", own or request.hyperparameters or Hyperparameters()
    own = method.dpo and method.dpo.hyperparameters
    old = request.hyperparameters or Hyperparameters()
    return "dpo", own or DpoHyperparameters(**old.model_dump())


async def check_named_stores(session: AsyncSession, tenant: str, options: FineTuningBraidOptions) -> None:
    """Check the stores in which a job looks for facts and for passages.

    Raises:
        NotFound: One isn't the tenant's.
        BadRequest: One in which passages are searched has no documents.
    """
    if options.facts is not None:
        await check_stores(session, tenant, options.facts.vector_stores, param="braid.facts.vector_stores")
    if options.evidence is not None:
        stores = options.evidence.vector_stores
        await check_filled_stores(session, tenant, stores, param="braid.evidence.vector_stores")


async def find_start(session: AsyncSession, tenant: str, request: FineTuningJobCreate, base: str) -> AdapterRow | None:
    """Return the tenant's adapter that a job trains on from; None for the base model.

    Raises:
        BadRequest: There is no such model.
        Conflict: It waits for another base model.
    """
    if request.model == base:
        return None
    await check_set_aside(session, tenant, request.model)
    start = await find_ready(session, tenant, request.model)
    if start is None:
        raise BadRequest(
            f"The model {request.model!r} can't be fine-tuned; {base!r} can, and so can your adapters that are ready.",
            param="model",
            code="model_not_found",
        )
    return start
