"""The targets of the arms: the base model, and the tenant's adapter with the prompt that it was trained with."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import find_ready, read_chat_template_kwargs
from gateway.advice.arms import Arm
from gateway.answering.resolve import Target
from gateway.artifacts import Artifacts
from gateway.assistants.release import LEAST_PROBABILITY, RetrievalSpec
from gateway.errors import NotFound
from gateway.files.service import find_file
from gateway.fine_tuning.service import find_job
from gateway.gates.held_out_rows import RowsUnfit, list_learnt_replies
from gateway.prompts.service import get_prompt

__all__ = ["AdapterParts", "find_adapter", "make_target", "read_learnt"]


@dataclass(frozen=True, slots=True)
class AdapterParts:
    """An adapter of the tenant's.

    Attributes:
        target: It with the prompt of its training job, if that named one.
        training_digest: Of the file that it has learnt; None where it isn't there any more, or was never here.
    """

    target: Target
    training_digest: str | None


async def find_adapter(session: AsyncSession, tenant: str, model: str) -> AdapterParts:
    """Find an adapter by the client's name.

    Raises:
        NotFound: It isn't ready now, or the prompt that it was trained with is gone.
    """
    row = await find_ready(session, tenant, model)
    if row is None:
        raise NotFound(f"The adapter {model!r} isn't ready now. GET /api/adapters says why.", param="adapter")
    target = Target(row.served_name, row.served_name, chat_template_kwargs=read_chat_template_kwargs(row))
    job = await find_job(session, tenant, row.source)
    if job is None:
        return AdapterParts(target, None)
    if reference := job.braid.get("prompt"):
        template = prompts.compile((await get_prompt(session, tenant, reference)).template)
        target = replace(target, prompt=template, variables=job.braid.get("variables") or {})
    file = await find_file(session, tenant, job.training_file)
    return AdapterParts(target, None if file is None else file.digest)


def make_target(arm: Arm, base_model: str, adapter: AdapterParts | None, store: str | None) -> Target:
    """Return the target of an arm; those with passages search the store as a release does where nothing is said."""
    target = adapter.target if arm.style == "adapter" and adapter is not None else Target(base_model)
    if not arm.facts:
        return target
    stores = () if store is None else (store,)
    spec = RetrievalSpec(stores, least_probability=LEAST_PROBABILITY, when="auto")
    return replace(target, prompt=target.prompt or prompts.compile(prompts.DEFAULT), retrieval=spec)


def read_learnt(artifacts: Artifacts, digest: str | None) -> Collection[tuple[str, str]]:
    """Read what an adapter has learnt, as questions with replies; nothing where its file is gone or holds no chats."""
    if digest is None:
        return frozenset()
    try:
        replies = list_learnt_replies(artifacts.file(digest).read_bytes())
    except (FileNotFoundError, RowsUnfit):
        return frozenset()
    return frozenset((one.messages[-1].content or "", one.reply) for one in replies)
