"""From a model's name to what answers under it: the base model, an adapter, a pinned release, or a rollout's choice."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import find_adapter_row, find_ready, is_learnt_from_prompts, read_chat_template_kwargs
from gateway.answering.question import BraidOptions, Question
from gateway.assistants import ReleaseRow
from gateway.assistants.release import ReleaseSpec, RetrievalSpec, Stage, split_release
from gateway.assistants.service import find_assistant, find_release, list_current_stages
from gateway.db import Database, Recent
from gateway.engines.served_base_model import ServedBaseModel
from gateway.errors import Conflict, NotFound
from gateway.prompts.service import get_prompt

__all__ = ["Resolver", "Target"]

_log = structlog.get_logger()

_MAX_TEMPLATES = 1024
_MAX_RELEASES = 4096

Key = TypeVar("Key")
Value = TypeVar("Value")


class Target(msgspec.Struct, frozen=True):
    """The parts that answer a question.

    `engine_model` is the engine's name for the model, `adapter` the same where it is an adapter; `prompt` None means
    that the client's messages go on as they are; `chat_template_kwargs` are what the adapter was trained with.
    `knows_marks` says, where there is no `prompt`, whether the adapter learnt from prompts of ours, with numbered
    passages. `spec` is the release's, as it was made.
    """

    engine_model: str
    adapter: str | None = None
    release: str | None = None
    fingerprint: str | None = None
    prompt: prompts.Template | None = None
    retrieval: RetrievalSpec | None = None
    sampling: dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    knows_marks: bool = False
    spec: ReleaseSpec | None = None


@dataclass(frozen=True, slots=True)
class _Rollout:
    assistant: str
    stages: Sequence[Stage]


@cache
def _compile_default() -> prompts.Template:
    return prompts.compile(prompts.DEFAULT)


class Resolver:
    """Finds targets, for one process.

    A question to an assistant reads nothing from the database when it was asked a moment ago: its rollout, like an
    adapter's name, is remembered as `Recent` says, and releases and prompts never change.

    A release keeps its fingerprint as long as it answers as it did when it was made. Where the base model's weights or
    template, or a built-in prompt, have changed since, its answers bear that of what makes them now; so do those for
    which documents were searched that have been indexed with another embedder since.

    Args:
        database: Has what is resolved.
        base: The base model that this process knows.
    """

    def __init__(self, database: Database, base: ServedBaseModel | None) -> None:
        self._database = database
        self._base = base
        self._rollouts: Recent[tuple[str, str], _Rollout] = Recent(database)
        self._adapters: Recent[tuple[str, str], Target] = Recent(database)
        self._releases: OrderedDict[tuple[str, int], Target] = OrderedDict()
        self._templates: OrderedDict[str, prompts.Template] = OrderedDict()
        self._reindexed: OrderedDict[str, None] = OrderedDict()
        self._default = _compile_default()

    async def resolve(self, tenant: str, question: Question, base_model: str) -> Target:
        """Find what the question's model names for this tenant.

        Raises:
            NotFound: It names nothing of this tenant's.
            Conflict: The assistant has no rollout yet.
        """
        model = question.model
        if model == base_model:  # before anything is read: no assistant may have this name
            target = Target(model)
        elif model.startswith("ft:") and (adapter := await self._find_adapter(tenant, model)) is not None:
            target = adapter
        else:
            target = await self._resolve_assistant(tenant, question)
        if question.retrieval is not None:
            # The answer is no longer the release's.
            prompt = target.prompt or self._default
            target = replace(target, retrieval=question.retrieval, prompt=prompt, fingerprint=None)
        options = question.options
        return target if options is None else await self._switch(tenant, target, options, base_model)

    def name_searched(self, target: Target, indexes: Sequence[str]) -> Target:
        """Return the target with the fingerprint of what answers, now that documents of these indexes were searched."""
        spec = target.spec
        if spec is None or target.fingerprint is None or spec.as_served(None, indexes) == spec.as_served(None):
            return target
        fingerprint = spec.as_served(self._base, indexes).fingerprint
        if fingerprint not in self._reindexed:
            _remember(self._reindexed, fingerprint, None, _MAX_RELEASES)
            made_as = spec.fingerprint
            _log.warning("release_answers_otherwise", release=target.release, made_as=made_as, fingerprint=fingerprint)
        return replace(target, fingerprint=fingerprint)

    async def _find_adapter(self, tenant: str, model: str) -> Target | None:
        async def read() -> Target | None:
            async with self._database.read() as session:
                row = await find_ready(session, tenant, model)
            if row is None:
                return None
            kwargs = read_chat_template_kwargs(row)
            return Target(
                row.served_name, row.served_name, chat_template_kwargs=kwargs, knows_marks=is_learnt_from_prompts(row)
            )

        return await self._adapters.read((tenant, model), read)

    async def _resolve_assistant(self, tenant: str, question: Question) -> Target:
        name, number = split_release(question.model)
        rollout = await self._find_rollout(tenant, name)
        if rollout is None:
            raise NotFound(
                f"The model {question.model!r} does not exist or you do not have access to it. "
                "GET /v1/models lists what you can use.",
                param="model",
                code="model_not_found",
            )
        if number is None:
            if not rollout.stages:
                raise Conflict(
                    f"The assistant {name!r} has no rollout yet. Give a release its traffic with "
                    f"PUT /api/assistants/{name}/rollout, or ask a release by its number ({name}@1).",
                    param="model",
                    code="no_rollout",
                )
            return await self._find_release(tenant, rollout.assistant, name, _choose(rollout.stages, tenant, question))
        return await self._find_release(tenant, rollout.assistant, name, number)

    async def _find_rollout(self, tenant: str, name: str) -> _Rollout | None:
        async def read() -> _Rollout | None:
            async with self._database.read() as session:
                assistant = await find_assistant(session, tenant, name)
                if assistant is None:
                    return None
                return _Rollout(assistant.id, await list_current_stages(session, tenant, assistant.id))

        return await self._rollouts.read((tenant, name), read)

    async def _find_release(self, tenant: str, assistant: str, name: str, number: int) -> Target:
        target = self._releases.get((assistant, number))
        if target is not None:
            self._releases.move_to_end((assistant, number))
            return target
        async with self._database.read() as session:
            release = await find_release(session, tenant, assistant, number)
            if release is None:
                raise NotFound(f"The release {name}@{number} does not exist.", param="model", code="model_not_found")
            target = await self._read_target(session, tenant, f"{name}@{number}", release)
        _remember(self._releases, (assistant, number), target, _MAX_RELEASES)
        return target

    async def _read_target(self, session: AsyncSession, tenant: str, name: str, row: ReleaseRow) -> Target:
        spec = msgspec.convert(row.spec, ReleaseSpec)
        if spec.prompt is not None:
            reference = f"{spec.prompt.name}@{spec.prompt.version}"
            template = await self._template(session, tenant, reference, spec.prompt.digest)
        else:
            template = self._default if spec.retrieval is not None else None
        fingerprint = row.fingerprint
        if (present := spec.as_served(self._base)) != spec:
            fingerprint = present.fingerprint
            _log.warning("release_answers_otherwise", release=name, made_as=row.fingerprint, fingerprint=fingerprint)
        adapter, knows_marks = spec.adapter.served_name if spec.adapter else None, False
        if spec.adapter is not None and template is None:
            learner = await find_adapter_row(session, tenant, spec.adapter.model)
            knows_marks = learner is not None and is_learnt_from_prompts(learner)
        return Target(
            adapter or spec.base_model,
            adapter,
            name,
            fingerprint,
            template,
            spec.retrieval,
            spec.sampling,
            spec.variables,
            spec.adapter.chat_template_kwargs if spec.adapter else None,
            knows_marks,
            spec,
        )

    async def _switch(self, tenant: str, target: Target, options: BraidOptions, base_model: str) -> Target:
        """Switch strands off or the prompt over, for a comparison; the answer is then no longer the release's."""
        if not options.switches:
            return target
        if not options.adapter:
            target = replace(target, engine_model=base_model, adapter=None, chat_template_kwargs=None)
        if not options.retrieval:
            target = replace(target, retrieval=None)
        if options.prompt is not None:
            async with self._database.read() as session:
                target = replace(target, prompt=await self._template(session, tenant, options.prompt, None))
        return replace(target, fingerprint=None)

    async def _template(
        self, session: AsyncSession, tenant: str, reference: str, digest: str | None
    ) -> prompts.Template:
        template = self._templates.get(digest) if digest else None
        if template is None:
            row = await get_prompt(session, tenant, reference, param="braid.prompt")
            template = self._templates.get(row.digest) or prompts.compile(row.template)
            _remember(self._templates, row.digest, template, _MAX_TEMPLATES)
        return template


def _remember(entries: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Add an entry, and drop the one that wasn't used for the longest time where there are too many."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > most:
        entries.popitem(last=False)


def _conversation_digest(tenant: str, question: Question) -> bytes:
    """Return the digest of what stays the same in all questions of one conversation."""
    key = question.conversation
    if key is None:
        opening = {message.role: message.content or "" for message in reversed(question.messages)}
        key = f"{opening.get('system')}\0{opening.get('user')}"
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=tenant.encode()[:64], digest_size=8).digest()


def _choose(stages: Sequence[Stage], tenant: str, question: Question) -> int:
    """Return the release whose share of 0…sum of weights the conversation's digest falls into."""
    if len(stages) == 1:
        return stages[0].release
    digest = _conversation_digest(tenant, question)
    point = int.from_bytes(digest[:8]) % sum(stage.weight for stage in stages)
    for stage in stages:
        point -= stage.weight
        if point < 0:
            return stage.release
    raise AssertionError("a point below the sum of the weights lies in one of them")
