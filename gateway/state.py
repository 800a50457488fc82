"""The typed state that the composition root opens and every route finds again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.engines import EnginePool, Reconciler
from gateway.engines.base import BaseModel
from gateway.lifetime import Lifetime
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.tenants.authenticator import Authenticator
from retrieval.client import Retriever, RetrieverError

if TYPE_CHECKING:
    from gateway.answers.log import AnswerLog
    from gateway.chat.service import ChatService

__all__ = ["State", "state_of"]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that lives as long as the process; opened and closed by `gateway.composition` alone."""

    settings: Settings
    started: int
    base: BaseModel | None
    database: Database
    artifacts: Artifacts
    authenticator: Authenticator
    pool: EnginePool
    reconciler: Reconciler
    retriever: Retriever
    answers: "AnswerLog"
    chat: "ChatService"
    metrics: Metrics
    lifetime: Lifetime

    @property
    def base_model(self) -> str:
        """The base model's public name, "" while nobody has said it."""
        return self.pool.base_model or (self.base.name if self.base else "")

    async def embedder(self) -> str:
        """Return the embedder's identity, "" while the retriever doesn't answer."""
        try:
            return (await self.retriever.ready()).embedder
        except RetrieverError:
            return ""


def state_of(connection: HTTPConnection) -> State:
    """Return the state that the lifespan put on this request."""
    return cast(State, connection.state.braid)
