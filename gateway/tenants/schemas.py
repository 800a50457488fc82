from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from gateway.tenants.authenticator import Scope

__all__ = ["KeyList", "KeyMade", "KeyRequest", "KeyShown", "TenantList", "TenantRequest", "TenantShown"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class TenantRequest(BaseModel):
    name: Name


class TenantShown(BaseModel):
    id: str
    name: str
    created_at: int


class TenantList(BaseModel):
    data: list[TenantShown]


class KeyRequest(BaseModel):
    """`tenant` is a name or id; a `manage` key makes keys for its own tenant only."""

    tenant: str | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1)]


class KeyShown(BaseModel):
    """A key without its secret; `hint` is its beginning and end."""

    id: str
    tenant: str
    name: str
    hint: str
    scopes: list[str]
    created_at: int
    revoked_at: int | None


class KeyMade(KeyShown):
    key: str
    """The secret, shown this once."""


class KeyList(BaseModel):
    data: list[KeyShown]
