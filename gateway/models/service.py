"""The models of a tenant: the base model, its ready adapters, its assistants."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.lifecycle import withdraw
from gateway.adapters.service import find_name, list_names, lock_checkpoints, lock_deletable
from gateway.assistants.service import find_assistant, list_assistants, list_users
from gateway.errors import Conflict, Denied, NotFound
from gateway.models.schemas import Model
from gateway.tenants.authenticator import Principal

__all__ = ["ModelService"]


class ModelService:
    """Lists the names that one tenant may give in `model`; a pinned release (`support@7`) works too, unlisted.

    The `embedder` is among them ("" while it isn't known), for requests for embeddings.
    """

    def __init__(
        self, session: AsyncSession, principal: Principal, base_model: str, started_at: int, *, embedder: str = ""
    ) -> None:
        self._session = session
        self._tenant = principal.tenant
        self._owner = principal.tenant_name
        self._base = Model(id=base_model, created=started_at, owned_by="braid")
        self._embedder = Model(id=embedder, created=started_at, owned_by="braid") if embedder else None

    async def list_all(self) -> list[Model]:
        adapters = await list_names(self._session, self._tenant)
        assistants = await list_assistants(self._session, self._tenant)
        return [
            self._base,
            *(self._own(row.model, row.created_at) for row in adapters),
            *(self._own(row.name, row.created_at) for row in assistants),
            *([self._embedder] if self._embedder else []),
        ]

    async def get(self, id: str) -> Model:
        if id == self._base.id:
            return self._base
        if (adapter := await find_name(self._session, self._tenant, id)) is not None:
            return self._own(id, adapter.created_at)
        if (assistant := await find_assistant(self._session, self._tenant, id)) is not None:
            return self._own(id, assistant.created_at)
        if self._embedder is not None and id == self._embedder.id:
            return self._embedder
        raise NotFound(
            f"The model {id!r} does not exist or you do not have access to it. GET /v1/models lists what you can use.",
            param="model",
            code="model_not_found",
        )

    def _own(self, id: str, created: int) -> Model:
        return Model(id=id, created=created, owned_by=self._owner)

    async def delete(self, id: str) -> None:
        """Take an adapter and its checkpoints away from clients at once; engines unload them right after.

        Its bytes stay in the artifacts for a while: an engine may have to read them until it has unloaded it, and the
        same bytes may be another adapter's. A worker's sweep removes them.

        Raises:
            Denied: It is the base model.
            NotFound: The tenant has no such adapter.
            Conflict: An assistant's current rollout needs it, or one of its checkpoints.
        """
        if id == self._base.id:
            raise Denied(
                f"{id!r} is the base model of everybody here and can't be deleted. Only adapters can.",
                param="model",
                code="model_not_deletable",
            )
        row = await lock_deletable(self._session, self._tenant, id)
        if row is None:
            raise NotFound(f"The model {id!r} doesn't exist.", param="model", code="model_not_found")
        rows = [row, *await lock_checkpoints(self._session, row)]
        for one in rows:
            await self._check_unused(one.model)
        for one in rows:
            withdraw(one)

    async def _check_unused(self, model: str) -> None:
        users = await list_users(self._session, self._tenant, model)
        if users:
            raise Conflict(
                f"The rollout of {', '.join(users)} needs {model!r}. Promote a release without it there first.",
                param="model",
                code="adapter_in_use",
            )
