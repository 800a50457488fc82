"""The model that is to learn preferences, and the prompt that it is served with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.assistants.release import ReleaseSpec, split_release
from gateway.assistants.service import find_assistant, find_release
from gateway.errors import Conflict
from gateway.prompts.service import get_prompt

__all__ = ["LearningTarget", "find_target"]


@dataclass(frozen=True, slots=True)
class LearningTarget:
    """The weights to train on from, and what they are served with.

    Attributes:
        model: The base model's name, or an adapter's for clients.
        prompt: `name@version`; None for none, or the built-in one.
        template: The prompt's text.
        variables: Values of the prompt's own names.
    """

    model: str
    prompt: str | None
    template: str | None
    variables: Mapping[str, Any]


async def find_target(session: AsyncSession, tenant: str, model: str) -> LearningTarget:
    """Return what a pinned release, an adapter or the base model consists of, as far as training needs it.

    Raises:
        Conflict: The release isn't there any more.
        NotFound: Its prompt isn't.
    """
    name, number = split_release(model)
    if number is None:
        return LearningTarget(model, None, None, {})
    assistant = await find_assistant(session, tenant, name)
    release = assistant and await find_release(session, tenant, assistant.id, number)
    if release is None:
        raise Conflict(f"The release {model} isn't there any more. Compare another one.", code="release_gone")
    spec = msgspec.convert(release.spec, ReleaseSpec)
    learner = spec.adapter.model if spec.adapter else spec.base_model
    if spec.prompt is None:
        return LearningTarget(learner, None, None, spec.variables)
    reference = f"{spec.prompt.name}@{spec.prompt.version}"
    prompt = await get_prompt(session, tenant, reference)
    return LearningTarget(learner, reference, prompt.template, spec.variables)
