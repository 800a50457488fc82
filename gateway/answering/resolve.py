"""From a model's name to what answers under it: the base model, an adapter, a pinned release, or a rollout's choice."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import find_ready
from gateway.answering.question import BraidOptions, Question
from gateway.assistants.release import ReleaseSpec, RetrievalSpec, Stage
from gateway.assistants.service import find_assistant, find_release, list_current_stages
from gateway.assistants.tables import ReleaseRow
from gateway.errors import Conflict, NotFound
from gateway.prompts.service import get_prompt

__all__ = ["Resolver", "Target"]

_MAX_TEMPLATES = 256


class Target(msgspec.Struct, frozen=True):
    """The parts that answer a question.

    `engine_model` is the engine's name for the model, `adapter` the same where it is an adapter; `prompt` None means
    that the client's messages go on as they are.
    """

    engine_model: str
    adapter: str | None = None
    release: str | None = None
    fingerprint: str | None = None
    prompt: prompts.Template | None = None
    retrieval: RetrievalSpec | None = None
    sampling: dict[str, Any] | None = None


class Resolver:
    """Finds targets, for one process; prompts never change, so compiled ones are reused."""

    def __init__(self) -> None:
        self._templates: dict[str, prompts.Template] = {}
        self._default = prompts.compile(prompts.DEFAULT)

    async def resolve(self, session: AsyncSession, tenant: str, question: Question, base_model: str) -> Target:
        """Find what the question's model names for this tenant.

        Raises:
            NotFound: It names nothing of this tenant's.
            Conflict: The assistant has no rollout yet.
        """
        model = question.model
        if model == base_model:  # before anything is read: no assistant may have this name
            return await self._switch(session, tenant, Target(model), question.options, base_model)
        adapter = await find_ready(session, tenant, model) if model.startswith("ft:") else None
        if adapter is not None:
            target = Target(adapter.served_name, adapter.served_name)
        else:
            target = await self._resolve_assistant(session, tenant, question)
        return await self._switch(session, tenant, target, question.options, base_model)

    async def _resolve_assistant(self, session: AsyncSession, tenant: str, question: Question) -> Target:
        name, pinned, number = question.model.rpartition("@")
        if not (pinned and number.isdecimal()):
            name, number = question.model, ""
        assistant = await find_assistant(session, tenant, name)
        if assistant is None:
            raise NotFound(
                f"The model {question.model!r} does not exist or you do not have access to it. "
                "GET /v1/models lists what you can use.",
                param="model",
                code="model_not_found",
            )
        if not number:
            stages = await list_current_stages(session, tenant, assistant.id)
            if not stages:
                raise Conflict(
                    f"The assistant {name!r} has no rollout yet. Give a release its traffic with "
                    f"PUT /api/assistants/{name}/rollout, or ask a release by its number ({name}@1).",
                    param="model",
                    code="no_rollout",
                )
            number = str(_choose(stages, _conversation_digest(tenant, question)))
        release = await find_release(session, tenant, assistant.id, int(number))
        if release is None:
            raise NotFound(f"The release {name}@{number} does not exist.", param="model", code="model_not_found")
        return await self._release_target(session, tenant, f"{name}@{number}", release)

    async def _release_target(self, session: AsyncSession, tenant: str, name: str, row: ReleaseRow) -> Target:
        spec = msgspec.convert(row.spec, ReleaseSpec)
        if spec.prompt is not None:
            reference = f"{spec.prompt.name}@{spec.prompt.version}"
            template = await self._template(session, tenant, reference, spec.prompt.digest)
        else:
            template = self._default if spec.retrieval is not None else None
        adapter = spec.adapter.served_name if spec.adapter else None
        return Target(
            adapter or spec.base_model, adapter, name, row.fingerprint, template, spec.retrieval, spec.sampling
        )

    async def _switch(
        self, session: AsyncSession, tenant: str, target: Target, options: BraidOptions | None, base_model: str
    ) -> Target:
        """Switch strands off or the prompt over, for a comparison; the answer is then no longer the release's."""
        if options is None or options == BraidOptions():
            return target
        if not options.adapter:
            target = replace(target, engine_model=base_model, adapter=None)
        if not options.retrieval:
            target = replace(target, retrieval=None)
        if options.prompt is not None:
            target = replace(target, prompt=await self._template(session, tenant, options.prompt, None))
        return replace(target, fingerprint=None)

    async def _template(
        self, session: AsyncSession, tenant: str, reference: str, digest: str | None
    ) -> prompts.Template:
        template = self._templates.get(digest) if digest else None
        if template is None:
            row = await get_prompt(session, tenant, reference, param="braid.prompt")
            template = prompts.compile(row.template)
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[row.digest] = template
        return template


def _conversation_digest(tenant: str, question: Question) -> bytes:
    """Return the digest of what stays the same in all questions of one conversation."""
    key = question.conversation
    if key is None:
        opening = {message.role: message.content or "" for message in reversed(question.messages)}
        key = f"{opening.get('system')}\0{opening.get('user')}"
    return hmac.digest(tenant.encode(), key.encode(), hashlib.sha256)


def _choose(stages: Sequence[Stage], digest: bytes) -> int:
    """Return the release whose share of 0…sum of weights the digest falls into."""
    point = int.from_bytes(digest[:8]) % sum(stage.weight for stage in stages)
    for stage in stages:
        point -= stage.weight
        if point < 0:
            return stage.release
    raise AssertionError("a point below the sum of the weights lies in one of them")
