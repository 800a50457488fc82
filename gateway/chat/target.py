"""From the name in `model` to what answers: a base model, an adapter, a pinned release, or an assistant's rollout."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.repository import AdapterRepository
from gateway.assistants.release import ReleaseSpec, RetrievalSpec
from gateway.assistants.repository import AssistantRepository, ReleaseRepository, RolloutRepository
from gateway.chat.request import BraidOptions, ChatRequest
from gateway.errors import Conflict, NotFound
from gateway.prompts.repository import PromptRepository

__all__ = ["Target", "Targets"]

_TEMPLATES = 256


@dataclass(frozen=True, slots=True)
class Target:
    """What answers a request.

    `engine_model` is the engine's name for it, `adapter` the same where it is an adapter; `prompt` None means
    that the client's messages go on as they are.
    """

    engine_model: str
    adapter: str | None = None
    release: str | None = None
    fingerprint: str | None = None
    prompt: prompts.Template | None = None
    retrieval: RetrievalSpec | None = None
    sampling: dict[str, Any] | None = None


class Targets:
    """Finds targets for one process; releases and templates never change, so they are kept once read."""

    def __init__(self) -> None:
        self._templates: dict[str, prompts.Template] = {}
        self._default = prompts.compile(prompts.DEFAULT)

    async def find(self, session: AsyncSession, tenant: str, request: ChatRequest, base_model: str) -> Target:
        """Find what `request.model` names for this tenant.

        Raises:
            NotFound: It names nothing of this tenant's.
            Conflict: The assistant has no rollout yet.
        """
        model = request.model
        if model == base_model:  # before anything is read: no assistant may have this name
            return await self._switched(session, tenant, Target(model), request.braid, base_model)
        adapter = await AdapterRepository(session, tenant).find_ready(model) if model.startswith("ft:") else None
        if adapter is not None:
            target = Target(adapter.served_name, adapter.served_name)
        else:
            target = await self._assistant(session, tenant, request)
        return await self._switched(session, tenant, target, request.braid, base_model)

    async def _assistant(self, session: AsyncSession, tenant: str, request: ChatRequest) -> Target:
        name, pinned, number = request.model.rpartition("@")
        if not (pinned and number.isdecimal()):
            name, number = request.model, ""
        assistant = await AssistantRepository(session, tenant).find_by_name(name)
        if assistant is None:
            raise NotFound(
                f"The model {request.model!r} does not exist or you do not have access to it. "
                "GET /v1/models lists what you can use.",
                param="model",
                code="model_not_found",
            )
        if not number:
            rollout = await RolloutRepository(session, tenant).find_current(assistant.id)
            if rollout is None:
                raise Conflict(
                    f"The assistant {name!r} has no rollout yet. Give a release its traffic with "
                    f"PUT /api/assistants/{name}/rollout, or ask a release by its number ({name}@1).",
                    param="model",
                    code="no_rollout",
                )
            number = str(_choose(rollout.stages, _conversation(tenant, request)))
        row = await ReleaseRepository(session, tenant).find_by_number(assistant.id, int(number))
        if row is None:
            raise NotFound(f"The release {name}@{number} does not exist.", param="model", code="model_not_found")
        return await self._release(session, tenant, f"{name}@{number}", row.fingerprint, row.spec)

    async def _release(
        self, session: AsyncSession, tenant: str, release: str, fingerprint: str, stored: dict[str, Any]
    ) -> Target:
        spec = msgspec.convert(stored, ReleaseSpec)
        if spec.prompt is not None:
            reference = f"{spec.prompt.name}@{spec.prompt.version}"
            template = await self._template(session, tenant, reference, spec.prompt.digest)
        else:
            template = self._default if spec.retrieval is not None else None
        adapter = spec.adapter.served_name if spec.adapter else None
        return Target(
            adapter or spec.base_model, adapter, release, fingerprint, template, spec.retrieval, spec.sampling
        )

    async def _switched(
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
        held = self._templates.get(digest) if digest else None
        if held is None:
            row = await PromptRepository(session, tenant).get_by_reference(reference, param="braid.prompt")
            held = prompts.compile(row.template)
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            self._templates[row.digest] = held
        return held


def _conversation(tenant: str, request: ChatRequest) -> bytes:
    """Return what stays the same in all requests of one conversation."""
    if request.prompt_cache_key:
        said = request.prompt_cache_key
    elif request.metadata and (given := request.metadata.get("conversation_id")):
        said = given
    else:
        first = {message.role: message.content or "" for message in reversed(request.messages)}
        said = f"{first.get('system') or first.get('developer')}\0{first.get('user')}"
    return hmac.digest(tenant.encode(), said.encode(), hashlib.sha256)


def _choose(stages: list[dict[str, int]], conversation: bytes) -> int:
    """Return the release whose share of 0…sum of weights the conversation's digest falls into."""
    point = int.from_bytes(conversation[:8]) % sum(stage["weight"] for stage in stages)
    for stage in stages:
        point -= stage["weight"]
        if point < 0:
            return stage["release"]
    raise AssertionError("a point below the sum of the weights lies in one of them")
