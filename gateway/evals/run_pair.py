"""A run of an eval beside another one of it, for who decides by both: a gate."""

import asyncio

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import BadRequest
from gateway.evals.comparison import pair_rows
from gateway.evals.repository import EvalOutputItemRepository, EvalRepository, EvalRunRepository
from gateway.evals.tables import EvalRunRow

__all__ = ["PairedRuns", "check_run_pair", "read_run_pair"]


class PairedRuns(msgspec.Struct, frozen=True):
    """Two runs of one eval.

    Attributes:
        name: The eval's.
        baseline_model: The model that the baseline asked.
        passes: Of each row that both runs have, 1 or 0 for whether it passes in the run and in the baseline.
        unpaired: The number of rows that only one of them has.
    """

    eval_id: str
    name: str
    baseline_model: str
    passes: list[tuple[float, float]]
    unpaired: int


async def check_run_pair(
    session: AsyncSession, tenant: str, run_id: str, baseline_id: str, *, model: str, against: str | None, param: str
) -> None:
    """Refuse runs that say nothing of a model, or of what it is compared with.

    `model` is the one that the run has to have asked, as `name@number`, and `against` the one that the baseline has to
    have asked; None: any other one will do. `param` is the request's member that names the runs.

    Raises:
        NotFound: The tenant has no such run.
        BadRequest: One of them hasn't succeeded, asked another model, or they are of two evals.
    """
    runs = EvalRunRepository(session, tenant)
    run, baseline = await runs.get(run_id, param=param), await runs.get(baseline_id, param=param)
    for one in (run, baseline):
        if one.status != "succeeded":
            raise _refuse(f"The run {one.id} is {one.status}. Name runs that have completed.", param)
    if run.eval_id != baseline.eval_id:
        message = f"The run {run.id} is of the eval {run.eval_id}, and {baseline.id} of {baseline.eval_id}."
        raise _refuse(f"{message} Name two runs of one eval.", param)
    _check_model(run, model, param)
    if against is not None:
        _check_model(baseline, against, param)
    elif baseline.model == model:
        raise _refuse(f"The run {baseline.id} asked {model} too. Name a run of what it is to be compared with.", param)


async def read_run_pair(database: Database, tenant: str, run_id: str, baseline_id: str) -> PairedRuns:
    """Return how the rows of two runs of one eval ended.

    Raises:
        NotFound: One of them isn't there any more.
    """
    async with database.read() as session:
        runs = EvalRunRepository(session, tenant)
        run, baseline = await runs.get(run_id), await runs.get(baseline_id)
        eval_row = await EvalRepository(session, tenant).get(run.eval_id)
        items = EvalOutputItemRepository(session, tenant)
        rows, others = await items.list_results(run_id), await items.list_results(baseline_id)
    pairs = await asyncio.to_thread(pair_rows, rows, others)
    return PairedRuns(
        eval_id=run.eval_id,
        name=eval_row.name,
        baseline_model=baseline.model,
        passes=[(float(one.passed), float(other.passed)) for one, other in pairs],
        unpaired=len(rows) + len(others) - 2 * len(pairs),
    )


def _check_model(run: EvalRunRow, model: str, param: str) -> None:
    if run.model != model:
        deed = f"asked {run.model}" if run.model else "asked no model"
        raise _refuse(f"The run {run.id} {deed}. A gate takes one that asked {model}: create a run of that.", param)


def _refuse(message: str, param: str) -> BadRequest:
    return BadRequest(message, param=param, code="unfit_eval_run")
