"""The dependencies that every route takes: who asks, and in which unit of work. Default deny."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Depends, Query, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection, Request

from gateway.pages import PageRequest
from gateway.tenants.authenticator import Principal, Scope
from gateway.web.request_log import note_tenant
from gateway.web.state import State, state_of

__all__ = [
    "AdminKey",
    "ChatKey",
    "CurrentState",
    "KeyCheck",
    "ManageKey",
    "NewestPage",
    "OwnPage",
    "ReadSession",
    "WriteSession",
]

_bearer = HTTPBearer(auto_error=False, description="A key made by POST /api/keys.")


class KeyCheck:
    """The dependency that lets only keys with `scope` pass; the hot route awaits it by hand."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self,
        request: Request,
        _shown_in_openapi: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    ) -> Principal:
        authenticator = state_of(request).authenticator
        principal = await authenticator.authenticate(request.headers.get("authorization"), self.scope)
        note_tenant(request.scope, principal.tenant)
        return principal


async def _state(request: HTTPConnection) -> State:
    # Not a plain function: those run in a thread, which costs more than all that they do.
    return state_of(request)


CurrentState = Annotated[State, Depends(_state)]


async def _writing(state: CurrentState) -> AsyncIterator[AsyncSession]:
    async with state.database.begin() as session:
        yield session


async def _reading(state: CurrentState) -> AsyncIterator[AsyncSession]:
    async with state.database.read() as session:
        yield session


async def _page(
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    order: Literal["asc", "desc"] = "asc",
    after: Annotated[str | None, Query(description="The `last_id` of the page before.")] = None,
    before: Annotated[str | None, Query(description="The `first_id` of the page after.")] = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


OwnPage = Annotated[PageRequest, Depends(_page)]
"""The page that a client asks for of a list of Braid's own, oldest first unless it says otherwise."""


async def _newest_page(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


NewestPage = Annotated[PageRequest, Depends(_newest_page)]
"""The page that a client asks for of a list that grows, newest first unless it says otherwise."""

# scope="function": the commit happens before the answer is sent, so that an answer never promises what was not kept.
WriteSession = Annotated[AsyncSession, Depends(_writing, scope="function")]
ReadSession = Annotated[AsyncSession, Depends(_reading, scope="function")]
ChatKey = Annotated[Principal, Depends(KeyCheck(Scope.CHAT))]
ManageKey = Annotated[Principal, Depends(KeyCheck(Scope.MANAGE))]
AdminKey = Annotated[Principal, Depends(KeyCheck(Scope.ADMIN))]
