"""The typed state that the composition root opens and every route finds again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.settings import Settings
from gateway.tenants.authenticator import Authenticator

if TYPE_CHECKING:
    from retrieval.client import Retriever

    from gateway.answers.log import AnswerLog
    from gateway.chat.service import ChatService
    from gateway.engines import EnginePool, Reconciler

__all__ = ["State", "state_of"]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that lives as long as the process; opened and closed by ``gateway.composition`` alone."""

    settings: Settings
    database: Database
    artifacts: Artifacts
    authenticator: Authenticator
    pool: "EnginePool"
    reconciler: "Reconciler"
    retriever: "Retriever"
    answers: "AnswerLog"
    chat: "ChatService"


def state_of(connection: HTTPConnection) -> State:
    """Return the state that the lifespan put on this request."""
    return cast(State, connection.state.braid)
