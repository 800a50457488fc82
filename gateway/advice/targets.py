"""The targets of the arms: the base model, and the tenant's adapter with the prompt that it was trained with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import find_ready, read_chat_template_kwargs
from gateway.advice.arms import Arm
from gateway.answering.resolve import Target
from gateway.assistants.release import RetrievalSpec
from gateway.errors import NotFound
from gateway.fine_tuning.service import find_job
from gateway.gates.learnt_rows import LearntFile, find_learnt_files
from gateway.prompts.service import get_prompt
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = ["AdapterParts", "NamedPrompt", "find_adapter", "find_prompt", "make_target"]


@dataclass(frozen=True, slots=True)
class AdapterParts:
    """An adapter of the tenant's.

    Attributes:
        target: It with the prompt of its training job, if that named one.
        files: The files that it has learnt.
    """

    target: Target
    files: list[LearntFile]


@dataclass(frozen=True, slots=True)
class NamedPrompt:
    """A prompt of the tenant's, by its `name@version`, with the values of its own names."""

    reference: str
    template: prompts.Template
    variables: Mapping[str, Any]


async def find_prompt(
    session: AsyncSession, tenant: str, reference: str | None, variables: Mapping[str, Any]
) -> NamedPrompt | None:
    """Find the prompt that an advice names; None where it names none.

    Raises:
        NotFound: It is gone.
    """
    if reference is None:
        return None
    row = await get_prompt(session, tenant, reference)
    return NamedPrompt(reference, prompts.compile(row.template), variables)


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
    if job is not None and (reference := job.braid.get("prompt")):
        template = prompts.compile((await get_prompt(session, tenant, reference)).template)
        target = replace(target, prompt=template, variables=job.braid.get("variables") or {})
    return AdapterParts(target, await find_learnt_files(session, tenant, model))


def make_target(
    arm: Arm, base_model: str, adapter: AdapterParts | None, store: str | None, prompt: NamedPrompt | None = None
) -> Target:
    """Return the target of an arm; those with passages search the store as a release does where nothing is said."""
    target = adapter.target if arm.style == "adapter" and adapter is not None else Target(base_model)
    if arm.prompt and prompt is not None:
        target = replace(target, prompt=prompt.template, variables=dict(prompt.variables))
    if not arm.facts:
        return target
    stores = () if store is None else (store,)
    spec = RetrievalSpec(stores, least_probability=LEAST_PROBABILITY, when="auto")
    return replace(target, prompt=target.prompt or prompts.compile(prompts.DEFAULT), retrieval=spec)
