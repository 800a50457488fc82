"""The typed state that the composition root opens and every route finds again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from starlette.requests import HTTPConnection

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.engines import EnginePool, Reconciler
from gateway.engines.served_base_model import ServedBaseModel
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Authenticator
from gateway.tenants.storage import TenantStorage
from gateway.web.request_log import RequestLog
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["State", "part_of", "state_of"]

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class State:
    """Parts that live as long as the process, as far as several nouns' routes need them.

    Opened and closed by `gateway.composition` alone. `parts` are those that stand above this module and that only their
    own noun's routes need, by type; `part_of` finds one again.
    """

    settings: Settings
    started_at: int
    base: ServedBaseModel | None
    database: Database
    artifacts: Artifacts
    authenticator: Authenticator
    storage: TenantStorage
    pool: EnginePool
    reconciler: Reconciler
    retriever: Retriever
    metrics: Metrics
    requests: RequestLog
    drain: Drain
    parts: Mapping[type, object]

    @property
    def base_model(self) -> str:
        """The base model's public name, "" while nobody has said it."""
        return self.pool.base_model or (self.base.name if self.base else "")

    async def describe_retriever(self) -> RetrieverInfo | None:
        """Return what the retriever says of itself, None while it doesn't answer."""
        try:
            return await self.retriever.describe()
        except RetrieverError:
            return None


def state_of(connection: HTTPConnection) -> State:
    """Return the state that the lifespan put on this request."""
    return cast(State, connection.scope["state"]["braid"])  # `connection.state` costs ten times as much


def part_of(connection: HTTPConnection, kind: type[Part]) -> Part:
    """Return a part that stands above the state, by its type."""
    return cast(Part, state_of(connection).parts[kind])
