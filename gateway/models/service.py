"""The models of a tenant: the base model, its ready adapters, its assistants."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.repository import AdapterRepository
from gateway.assistants.repository import AssistantRepository
from gateway.errors import NotFound
from gateway.models.schemas import ModelShown
from gateway.tenants.authenticator import Principal

__all__ = ["ModelService"]


class ModelService:
    """Lists what `model` may be for one tenant. A pinned release (`support@7`) works too, and isn't listed."""

    def __init__(self, session: AsyncSession, principal: Principal, base_model: str, started: int) -> None:
        self._session = session
        self._principal = principal
        self._base = ModelShown(id=base_model, created=started, owned_by="braid")

    async def all(self) -> list[ModelShown]:
        adapters = await AdapterRepository(self._session, self._principal.tenant).all_ready()
        assistants = await AssistantRepository(self._session, self._principal.tenant).all()
        owner = self._principal.tenant_name
        return [
            self._base,
            *(ModelShown(id=row.model, created=row.created_at, owned_by=owner) for row in adapters),
            *(ModelShown(id=row.name, created=row.created_at, owned_by=owner) for row in assistants),
        ]

    async def get(self, id: str) -> ModelShown:
        for model in await self.all():
            if model.id == id:
                return model
        raise NotFound(
            f"The model {id!r} does not exist or you do not have access to it. GET /v1/models lists what you can use.",
            param="model",
            code="model_not_found",
        )
