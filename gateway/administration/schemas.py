from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.tenants.authenticator import Scope

__all__ = [
    "CreatedKey",
    "Key",
    "KeyCreate",
    "KeyList",
    "StorageUse",
    "Tenant",
    "TenantCreate",
    "TenantList",
    "TenantUpdate",
]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class TenantCreate(NullsLeftOut):
    """`keeps_cited_text`: citations of old answers stay readable when their document is deleted."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    keeps_cited_text: bool = False


class TenantUpdate(NullsLeftOut):
    """The fields to change; those that are left out stay."""

    model_config = ConfigDict(extra="forbid")

    keeps_cited_text: bool | None = None


class Tenant(BaseModel):
    id: str
    name: str
    created_at: int
    keeps_cited_text: bool


class StorageUse(BaseModel):
    """The bytes that a tenant stores, in all and by kind, and the bound on them; null where there is none."""

    tenant: str
    bytes: int
    limit: int | None
    kinds: dict[str, int]


class TenantList(CursorPage[Tenant]):
    """Tenants, oldest first."""


class KeyCreate(NullsLeftOut):
    """`tenant` is a name or id; a `manage` key makes keys for its own tenant only."""

    model_config = ConfigDict(extra="forbid")

    tenant: str | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1)]


class Key(BaseModel):
    """A key without its secret; `hint` is its beginning and end, but for BRAID_ADMIN_KEY, of which nothing is shown."""

    id: str
    tenant: str
    name: str
    hint: str
    scopes: list[str]
    created_at: int
    revoked_at: int | None


class CreatedKey(Key):
    key: str
    """The secret, shown this once."""


class KeyList(CursorPage[Key]):
    """Keys, oldest first."""
