"""A tenant's assistants, releases and rollouts, checked against the parts that they name."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.adapters.service import is_adapter
from gateway.assistants.adapter_fit import check_fit
from gateway.assistants.adapter_ref import get_adapter_ref
from gateway.assistants.gate_verdict import GateResult, find_verdicts
from gateway.assistants.release import (
    AdapterRef,
    Boost,
    PromptRef,
    ReleaseSpec,
    RetrievalSpec,
    ServedParts,
    Stage,
)
from gateway.assistants.repository import AssistantRepository, ReleaseRepository, RolloutRepository, list_serving
from gateway.assistants.schemas import (
    Assistant,
    AssistantList,
    CreatedRelease,
    Release,
    ReleaseCreate,
    ReleaseGate,
    ReleaseList,
    RolloutStage,
)
from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.db import lock
from gateway.errors import BadRequest, Conflict, Unavailable
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.prompts.service import get_prompt
from gateway.prompts.variables import check_variables
from gateway.vector_stores.retriever_errors import check_filters
from gateway.vector_stores.service import check_stores

__all__ = [
    "AssistantService",
    "find_assistant",
    "find_assistant_by_id",
    "find_release",
    "list_assistants",
    "list_current_stages",
    "list_serving_releases",
    "list_users",
]


async def find_assistant(session: AsyncSession, tenant: str, name: str) -> AssistantRow | None:
    """Find one of the tenant's assistants by its name."""
    return await AssistantRepository(session, tenant).find_by_name(name)


async def list_current_stages(session: AsyncSession, tenant: str, assistant_id: str) -> Sequence[Stage]:
    """List the stages of an assistant's current rollout; none where it has no rollout yet."""
    rollout = await RolloutRepository(session, tenant).find_current(assistant_id)
    return msgspec.convert(rollout.stages, list[Stage]) if rollout is not None else ()


async def list_serving_releases(session: AsyncSession) -> set[tuple[str, int]]:
    """List all tenants' releases that answer, or would by a roll back, as the ids of assistants and numbers.

    Releases of the same content are among them: their gates were theirs, too.
    """
    return await list_serving(session)


async def find_assistant_by_id(session: AsyncSession, tenant: str, id: str) -> AssistantRow:
    """Return one of the tenant's assistants by its id, or raise `NotFound`."""
    return await AssistantRepository(session, tenant).get(id, param="name")


async def find_release(session: AsyncSession, tenant: str, assistant_id: str, number: int) -> ReleaseRow | None:
    """Find an assistant's release by its number."""
    return await ReleaseRepository(session, tenant).find_by_number(assistant_id, number)


async def list_assistants(session: AsyncSession, tenant: str) -> Sequence[AssistantRow]:
    """List the tenant's assistants, oldest first."""
    return await AssistantRepository(session, tenant).list_all()


async def list_users(session: AsyncSession, tenant: str, adapter: str) -> Sequence[str]:
    """List the names of the assistants whose current rollout needs the adapter with this client's name."""
    releases = ReleaseRepository(session, tenant)
    names: list[str] = []
    for assistant, rollout in await RolloutRepository(session, tenant).list_current():
        live = {stage.release for stage in msgspec.convert(rollout.stages, list[Stage])}
        specs = [
            msgspec.convert(row.spec, ReleaseSpec) for row in await releases.list_of(assistant.id) if row.number in live
        ]
        if any(spec.adapter is not None and spec.adapter.model == adapter for spec in specs):
            names.append(assistant.name)
    return names


class AssistantService:
    """One tenant's assistants."""

    def __init__(self, session: AsyncSession, tenant: str, parts: ServedParts) -> None:
        self._session = session
        self._tenant = tenant
        self._parts = parts
        self._assistants = AssistantRepository(session, tenant)
        self._releases = ReleaseRepository(session, tenant)
        self._rollouts = RolloutRepository(session, tenant)

    async def create(self, name: str) -> Assistant:
        taken_name = name == self._parts.base_model or await self._assistants.find_by_name(name) is not None
        # A name of an adapter stays that of its bytes, also when it was deleted.
        if taken_name or (name.startswith("ft:") and await is_adapter(self._session, self._tenant, name)):
            raise Conflict(f"The name {name!r} is taken. Choose another.", param="name")
        row = AssistantRow(id=new_id("asst_"), created_at=int(time.time()), name=name)
        self._assistants.add(row)
        return _assistant_schema(row, None)

    async def list_page(self, request: PageRequest) -> AssistantList:
        page = await self._assistants.list_page(**asdict(request))
        ids = [row.id for row in page.rows]
        rollouts = {assistant.id: rollout for assistant, rollout in await self._rollouts.list_current(ids)}
        return AssistantList.of([_assistant_schema(row, rollouts.get(row.id)) for row in page.rows], page)

    async def get(self, name: str) -> Assistant:
        row = await self._assistants.get_by_name(name)
        return _assistant_schema(row, await self._rollouts.find_current(row.id))

    async def create_release(self, name: str, request: ReleaseCreate) -> CreatedRelease:
        """Make the next release. It answers when its number is asked for (`name@7`) or a rollout names it.

        Raises:
            Unavailable: A part that its fingerprint covers isn't known now.
            Conflict: The base's chat template isn't the one that the adapter has learnt.
        """
        assistant = await self._assistants.get_by_name(name)
        retrieval = await self._retrieval(request)
        self._check_known(retrieval)
        spec = ReleaseSpec(
            base_model=self._base(request.base_model),
            base_digest=self._parts.base_digest,
            adapter=await self._adapter(request.adapter),
            prompt=await self._prompt(request.prompt, request.variables),
            builtin_prompt=prompts.compile(prompts.DEFAULT).digest,
            retrieval=retrieval,
            sampling=request.sampling.model_dump(exclude_none=True),
            variables=request.variables,
            chat_template=self._parts.chat_template,
            folds_system=self._parts.folds_system,
            markers=self._parts.markers,
            ranking=self._parts.ranking if retrieval else "",
            evidence=prompts.EVIDENCE_LAYOUT if retrieval else "",
        )
        warnings = await check_fit(self._session, self._tenant, spec)
        # Of clients that make releases at the same time each gets a number, and the list has them in that order.
        await lock(self._session, f"release {assistant.id}")
        number = await self._releases.find_last_number(assistant.id) + 1
        row = ReleaseRow(
            id=new_id("release_"),
            created_at=int(time.time()),
            assistant_id=assistant.id,
            number=number,
            fingerprint=spec.fingerprint,
            spec=msgspec.to_builtins(spec),
        )
        self._releases.add(row)
        return CreatedRelease(release=row.number, fingerprint=row.fingerprint, warnings=warnings)

    async def list_releases(self, name: str, request: PageRequest) -> ReleaseList:
        assistant = await self._assistants.get_by_name(name)
        page = await self._releases.list_page(ReleaseRow.assistant_id == assistant.id, **asdict(request))
        verdicts = await find_verdicts(self._session, self._tenant, {row.fingerprint for row in page.rows})
        data = [
            Release(
                release=row.number,
                fingerprint=row.fingerprint,
                created_at=row.created_at,
                spec=row.spec,
                gate=_describe_verdict(verdicts.get(row.fingerprint)),
            )
            for row in page.rows
        ]
        return ReleaseList.of(data, page)

    def _check_known(self, retrieval: RetrievalSpec | None) -> None:
        """Raise `Unavailable` rather than make a fingerprint that equal releases wouldn't share."""
        if not self._parts.base_digest:
            raise Unavailable(
                "Nobody has said yet which base model's weights the engines serve, and a release is tied to them. "
                "Start 'braid up' or a worker with the base model (BRAID_BASE_MODEL) on this database, then try again."
            )
        if retrieval is not None and not self._parts.embedder:
            raise Unavailable(
                "The retriever doesn't answer, so it isn't known which embedder the release would be tied to. Try "
                "again when GET /readyz no longer names the retriever among `degraded`.",
                retry_after=5,
            )

    def _base(self, name: str | None) -> str:
        if name not in (None, self._parts.base_model):
            raise BadRequest(
                f"The base model {name!r} isn't served here; {self._parts.base_model!r} is.", param="base_model"
            )
        return self._parts.base_model

    async def _adapter(self, model: str | None) -> AdapterRef | None:
        return None if model is None else await get_adapter_ref(self._session, self._tenant, model)

    async def _prompt(self, reference: str | None, variables: Mapping[str, Any]) -> PromptRef | None:
        row = None if reference is None else await get_prompt(self._session, self._tenant, reference)
        check_variables(row.template if row else None, variables, reference=reference, param="variables")
        return None if row is None else PromptRef(row.name, row.version, row.digest)

    async def _retrieval(self, request: ReleaseCreate) -> RetrievalSpec | None:
        options = request.retrieval
        if options is None:
            return None
        stores = tuple(options.vector_stores)
        await check_stores(self._session, self._tenant, stores, param="retrieval.vector_stores")
        if options.filters is not None:
            check_filters(options.filters, param="retrieval.filters")
        return RetrievalSpec(
            stores,
            options.top_k,
            options.score_threshold,
            options.mode,
            self._parts.embedder,
            UNSET if options.filters is None else options.filters,
            options.least_probability or UNSET,
            options.rerank or UNSET,
            "any" if options.links == "any" else UNSET,
            UNSET if options.when == "always" else options.when,
            UNSET if options.rewrite == "never" else options.rewrite,
            options.max_per_document or UNSET,
            options.collapse_duplicates or UNSET,
            tuple(Boost(**boost.model_dump()) for boost in options.boosts) or UNSET,
            UNSET if options.expand == "none" else options.expand,
            options.passage_characters or UNSET,
        )


def _assistant_schema(row: AssistantRow, rollout: RolloutRow | None) -> Assistant:
    return Assistant(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        stages=_to_stages(rollout),
        revision=rollout.revision if rollout else 0,
    )


def _to_stages(row: RolloutRow | None) -> list[RolloutStage]:
    return [RolloutStage(**stage) for stage in row.stages] if row else []


def _describe_verdict(verdict: GateResult | None) -> ReleaseGate | None:
    if verdict is None:
        return None
    return ReleaseGate(**{name: value for name, value in msgspec.structs.asdict(verdict).items() if name != "block"})
