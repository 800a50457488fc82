"""The base's own answers to prompts of all kinds, learnt among a job's rows so that it keeps what it could do before.

Rows of one kind alone teach a small model that kind of answer to everything. Its own answers beside them cost the style
nothing, and no other data is needed for them (Huang et al. 2024, "Self-Synthesized Rehearsal").
"""

import asyncio
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any

import msgspec

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.engines import EngineBusy, EngineError, EnginePool, EngineRefused
from gateway.engines.base_reply import BaseReply, ask_base
from gateway.engines.base_traits import BaseTraits
from gateway.engines.training_traits import TrainingTraits
from gateway.errors import BadRequest
from gateway.evaluation.refusals import is_refusal
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.fine_tuning.row_replacement import Notice, replace_rows
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import Claim, JobCancelled, JobDelayed, failpoint
from gateway.task_group import await_each
from gateway.tenants.storage import TenantStorage
from training.rendered_rows import add_rendered_rows

__all__ = ["ROW_BYTES", "Rehearsal", "RehearsalPrompts", "RehearsalSize", "choose_rehearsal", "load_rehearsal_prompts"]

ROW_BYTES = 250
"""Of a row with the base's own answer, about."""
_FEWEST, _MOST = 16, 96
_MOST_TOKENS = 96
_REFUSALS = 4
_ROUND, _AT_ONCE = 16, 8  # beside the traffic of clients
_ENGINE_SECONDS = 10.0
_AGAIN = (408, 425)
_DATED = "the base's chat template prints the day's date where a prompt has no system text, as these have none"


class RehearsalPrompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`data/rehearsal.toml`, which says what they are for."""

    general: list[str]
    harmful: list[str]


@dataclass(frozen=True, slots=True)
class RehearsalSize:
    """The number of the base's own answers that a job learns, and the reason for it."""

    answers: int
    reason: str


@cache
def load_rehearsal_prompts() -> RehearsalPrompts:
    """Read the prompts that come with this package."""
    data = (files("gateway.fine_tuning") / "data" / "rehearsal.toml").read_bytes()
    return msgspec.toml.decode(data, type=RehearsalPrompts)


def choose_rehearsal(number: int | None, method: str, rows: int, traits: TrainingTraits | None) -> RehearsalSize:
    """Return how many of the base's own answers suit a number of rows: as many as half of them, from 16 to 96.

    Args:
        number: What the request says.
        method: Of the job. Preferences are a push on what an adapter says already, and are learnt without.
        rows: The tenant's own.
        traits: The base's, where they are known.

    Raises:
        BadRequest: The request wants some where there can't be any.
    """
    reason = None
    if method == "dpo":
        reason = "preferences are learnt by themselves"
    elif traits is not None and traits.needs_system:
        reason = _DATED
    if reason is None and number is None:
        answers = min(_MOST, max(_FEWEST, rows // 2))
        return RehearsalSize(answers, "so many of the base's own answers keep what it could do before")
    if reason is None or not number:
        return RehearsalSize(number or 0, reason or "the request says so")
    raise BadRequest(
        f"The base's own answers can't be learnt here: {reason}. Leave braid.rehearsal out.",
        param="braid.rehearsal",
    )


class Rehearsal:
    """Puts the base's own answers behind the rows of jobs, once per job.

    Args:
        storage: Has to have room for them.
        pool: Its engines serve the base.
        traits: Of the base; an answer with one of its markers isn't learnt.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, storage: TenantStorage, pool: EnginePool, traits: BaseTraits
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._pool = pool
        self._traits = traits

    async def prepare(self, claim: Claim, base: TrainingTraits | None) -> bool:
        """Ask the base, and put what it says behind the job's rows; tell whether it was done now.

        Args:
            claim: Of the job.
            base: What the worker, which has the files of the base, knows of it; who made the job may have had none.

        Raises:
            JobFailed: There is no room for the rows.
            JobDelayed: No engine can be asked now.
            JobCancelled: The owner has cancelled the job.
        """
        async with self._database.read() as session:
            job = await FineTuningJobRepository(session, claim.tenant).get(claim.subject)
        number = job.braid.get("rehearsal") or 0
        if not number or job.braid.get("rehearsed") is not None or job.rows_digest is None or base is None:
            return False
        if base.needs_system:
            notice = f"None of the base model's own answers are learnt: {_DATED}", "warn", dict[str, Any]()
            await replace_rows(claim, self._storage, {}, job.rows_bytes, {"rehearsed": 0}, [notice])
            return True
        before = await asyncio.to_thread(self._artifacts.locate_file(job.rows_digest).read_bytes)
        if (await asyncio.to_thread(hashlib.sha256, before)).hexdigest() != job.rows_digest:
            return False  # the trainer says what is wrong with other rows than the job's
        try:
            rows = await self._ask(claim, job, base.variables or {}, number)
        except EngineError as error:
            raise JobDelayed(
                "No engine answers now. The base model is asked for the answers that are learnt among the rows; a job "
                "with braid.rehearsal 0 has none.",
                seconds=_ENGINE_SECONDS,
            ) from error
        digests, size = dict[str, str | None](), job.rows_bytes
        if rows:
            content = add_rendered_rows(before, rows)
            digests = {"rows_digest": (await self._artifacts.put_bytes(content)).digest}
            size += len(content) - len(before)
        failpoint("base-asked")
        notices = [_describe(len(rows), number)]
        await replace_rows(claim, self._storage, digests, size, {"rehearsed": len(rows)}, notices)
        return True

    async def _ask(
        self, claim: Claim, job: FineTuningJobRow, variables: Mapping[str, Any], number: int
    ) -> list[list[dict[str, Any]]]:
        """Ask until there are enough rows, in an order of the job's seed: equal jobs learn equal rows.

        Refusals come first, since a small base has few, and are a quarter at most, so that none learns to refuse.
        """
        await self._traits.settle()
        values = job.braid.get("chat_template_kwargs")
        values = variables if values is None else values  # an adapter to start from may have none on purpose
        packaged, chance = load_rehearsal_prompts(), random.Random(job.seed)
        harmful = chance.sample(packaged.harmful, len(packaged.harmful))
        general = chance.sample(packaged.general, len(packaged.general))
        refusals = await self._ask_some(claim, values, harmful, number // _REFUSALS, is_harmful=True)
        return refusals + await self._ask_some(claim, values, general, number - len(refusals), is_harmful=False)

    async def _ask_some(
        self, claim: Claim, values: Mapping[str, Any], prompts: Sequence[str], most: int, *, is_harmful: bool
    ) -> list[list[dict[str, Any]]]:
        """Ask prompts in their order until at most `most` answers can be learnt.

        A prompt at which the engine fails is left out, unless it fails at a whole round: then it is in trouble.
        """
        rows: list[list[dict[str, Any]]] = []
        for start in range(0, len(prompts), _ROUND):
            if len(rows) >= most:
                break
            if claim.cancelled.is_set():
                raise JobCancelled
            some = prompts[start : start + _ROUND]
            replies = await await_each(partial(self._ask_one, claim.tenant, values), some, at_once=_AT_ONCE)
            failures = [reply for reply in replies if isinstance(reply, EngineRefused)]
            if len(failures) == _ROUND:
                raise failures[0]
            rows += [
                [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
                for prompt, reply in zip(some, replies, strict=True)
                if (text := self._choose(reply, is_harmful)) is not None
            ]
        return rows[:most]

    async def _ask_one(
        self, tenant: str, chat_template_kwargs: Mapping[str, Any], prompt: str
    ) -> BaseReply | EngineRefused:
        """Return the reply, or the failure of the engine, which may be at this prompt alone."""
        try:
            return await ask_base(
                self._pool, tenant, prompt, most_tokens=_MOST_TOKENS, chat_template_kwargs=chat_template_kwargs
            )
        except EngineRefused as refused:
            if isinstance(refused, EngineBusy) or refused.engine_status in _AGAIN:
                raise
            # What it refuses now it refuses for ever, and a job would wait as long.
            return refused if refused.engine_status >= 500 else BaseReply()

    def _choose(self, reply: BaseReply | EngineRefused, is_harmful: bool) -> str | None:
        """Return the text that is learnt; None for an answer that was cut, says nothing, or does harm."""
        if isinstance(reply, EngineRefused):
            return None
        text = reply.text.strip()
        if not reply.is_whole or not text or self._traits.markers.neutralise(text) != text:
            return None
        return None if is_harmful and not is_refusal(text) else text


def _describe(rows: int, number: int) -> Notice:
    """Return the event about a job's own answers of the base."""
    message = (
        f"{rows} of the base model's own answers to prompts of all kinds are learnt among the rows, so that it keeps "
        "what it could do before; they stand behind the file's own rows"
    )
    if rows == number:
        return message, "info", {"rehearsed": rows}
    short = (
        f"{message}. {number} were wanted: the base's other answers to the packaged prompts don't end in time, are "
        "none, fail, or do harm"
    )
    return short, "warn" if rows < number // 2 else "info", {"rehearsed": rows, "wanted": number}
