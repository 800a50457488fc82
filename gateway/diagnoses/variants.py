"""The release under diagnosis, and the same with one strand changed: what it is replayed by, and could be made of."""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import find_ready
from gateway.answering.question import Question
from gateway.answering.resolve import Resolver, Target
from gateway.assistants.release import ReleaseSpec, RetrievalSpec
from gateway.assistants.schemas import BoostOptions, ReleaseCreate, RetrievalOptions, SamplingOptions
from gateway.assistants.service import find_assistant_by_id, find_release
from gateway.db import Database
from gateway.diagnoses.attribution import VariantStrand
from gateway.diagnoses.cases import Strand
from gateway.errors import NotFound
from gateway.jobs import JobFailed

__all__ = ["ReleaseVariant", "ReleaseVariants", "find_variants", "to_request"]

_FORMER = 20
"""Releases before it that are looked at for another prompt or adapter."""


@dataclass(frozen=True, slots=True)
class ReleaseVariant:
    """The release with one strand changed.

    `change` says it in words; `request` makes it as a release.
    """

    name: str
    strand: Strand
    cause: str
    change: str
    target: Target
    request: ReleaseCreate

    @property
    def outline(self) -> VariantStrand:
        return VariantStrand(self.name, self.strand, self.cause)


@dataclass(frozen=True, slots=True)
class ReleaseVariants:
    """The release itself, its variants of adapter and prompt, and `bare`: the base with the built-in prompt."""

    label: str
    spec: ReleaseSpec
    target: Target
    variants: tuple[ReleaseVariant, ...]
    bare: Target

    def find(self, name: str) -> Target:
        return next(one.target for one in self.variants if one.name == name)


@dataclass(frozen=True, slots=True)
class _Former:
    """The newest release before it that has another prompt, and the one with another adapter, by their names."""

    prompt: tuple[str, ReleaseSpec] | None
    adapter: tuple[str, ReleaseSpec] | None


async def find_variants(
    database: Database, resolver: Resolver, tenant: str, assistant_id: str, number: int, base_model: str
) -> ReleaseVariants:
    """Find the release and what it can be compared with.

    Raises:
        JobFailed: Its adapter isn't ready.
        NotFound: The release, or a part of it, isn't there any more.
    """
    async with database.read() as session:
        assistant = await find_assistant_by_id(session, tenant, assistant_id)
        row = await find_release(session, tenant, assistant_id, number)
        if row is None:
            raise NotFound(f"{assistant.name}@{number} isn't there any more.")
        spec = msgspec.convert(row.spec, ReleaseSpec)
        if spec.adapter is not None and await find_ready(session, tenant, spec.adapter.model) is None:
            message = f"The adapter of {assistant.name}@{number}, {spec.adapter.model!r}, isn't ready now."
            raise JobFailed("adapter_gone", message)
        former = await _find_former(session, tenant, assistant.name, assistant_id, number, spec)

    async def resolve(label: str) -> Target:
        return await resolver.resolve(tenant, Question("diagnosis", label, (), {}), base_model)

    label = f"{assistant.name}@{number}"
    target = replace(await resolve(label), fingerprint=None)
    plain = prompts.compile(prompts.DEFAULT) if spec.retrieval is not None else None
    bare = replace(target, engine_model=base_model, adapter=None, chat_template_kwargs=None)
    variants: list[ReleaseVariant] = []
    if former.adapter is not None:
        name, other = former.adapter
        variants.append(_take_adapter(target, spec, name, other, await resolve(name)))
    if spec.adapter is not None:
        request = to_request(replace(spec, adapter=None))
        variants.append(ReleaseVariant("no_adapter", "style", "adapter", "no adapter", bare, request))
    if former.prompt is not None:
        name, other = former.prompt
        variants.append(_take_prompt(target, spec, name, other, await resolve(name)))
    if spec.prompt is not None:
        variant = replace(target, prompt=plain, variables={})
        request = to_request(replace(spec, prompt=None, variables={}))
        words = "the built-in prompt" if plain else "no prompt"
        variants.append(ReleaseVariant("default_prompt", "prompt", "instructions", words, variant, request))
        bare = replace(bare, prompt=plain, variables={})
    return ReleaseVariants(label, spec, target, tuple(variants), bare)


def _take_adapter(target: Target, spec: ReleaseSpec, name: str, other: ReleaseSpec, source: Target) -> ReleaseVariant:
    """Return the release with the adapter of another one: `other` by its spec, `source` as it resolves."""
    variant = replace(
        target,
        engine_model=source.engine_model,
        adapter=source.adapter,
        chat_template_kwargs=source.chat_template_kwargs,
    )
    request = to_request(replace(spec, adapter=other.adapter))
    return ReleaseVariant("former_adapter", "style", "adapter", f"the adapter of {name}", variant, request)


def _take_prompt(target: Target, spec: ReleaseSpec, name: str, other: ReleaseSpec, source: Target) -> ReleaseVariant:
    """Return the release with the prompt of another one, as for `_take_adapter`."""
    variant = replace(target, prompt=source.prompt, variables=source.variables)
    request = to_request(replace(spec, prompt=other.prompt, variables=other.variables))
    return ReleaseVariant("former_prompt", "prompt", "instructions", f"the prompt of {name}", variant, request)


async def _find_former(
    session: AsyncSession, tenant: str, name: str, assistant_id: str, number: int, spec: ReleaseSpec
) -> _Former:
    prompt: tuple[str, ReleaseSpec] | None = None
    adapter: tuple[str, ReleaseSpec] | None = None
    for earlier in range(number - 1, max(0, number - 1 - _FORMER), -1):
        row = await find_release(session, tenant, assistant_id, earlier)
        if row is None:
            continue
        other, label = msgspec.convert(row.spec, ReleaseSpec), f"{name}@{earlier}"
        if prompt is None and other.prompt is not None and other.prompt != spec.prompt:
            prompt = label, other
        if adapter is None and other.adapter is not None and other.adapter != spec.adapter:
            ready = await find_ready(session, tenant, other.adapter.model)
            adapter = (label, other) if ready is not None and ready.digest == other.adapter.digest else None
    return _Former(prompt, adapter)


def to_request(spec: ReleaseSpec) -> ReleaseCreate:
    """Return the request that makes a release with the parts of a spec, on the base that serves now."""
    return ReleaseCreate(
        adapter=spec.adapter and spec.adapter.model,
        prompt=spec.prompt and f"{spec.prompt.name}@{spec.prompt.version}",
        variables=spec.variables,
        retrieval=None if spec.retrieval is None else _to_options(spec.retrieval),
        sampling=SamplingOptions(**spec.sampling),
    )


def _to_options(spec: RetrievalSpec) -> RetrievalOptions:
    """Return a spec as options: what is unset in it means that nothing of the kind is done."""
    unset: dict[str, Any] = {
        "filters": None,
        "least_probability": 0.0,
        "rerank": False,
        "links": "given",
        "when": "always",
        "rewrite": "never",
        "max_per_document": None,
        "collapse_duplicates": False,
        "boosts": (),
        "expand": "none",
        "passage_characters": None,
    }
    values = {name: default if getattr(spec, name) is UNSET else getattr(spec, name) for name, default in unset.items()}
    values["boosts"] = [BoostOptions(**msgspec.to_builtins(boost)) for boost in values["boosts"]]
    return RetrievalOptions(
        vector_stores=list(spec.vector_stores),
        top_k=spec.top_k,
        score_threshold=spec.score_threshold,
        mode=spec.mode,
        **values,
    )
