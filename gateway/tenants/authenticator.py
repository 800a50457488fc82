"""Keys to principals: one look-up for every door, cached, with revocation at once."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from gateway.db import Database
from gateway.errors import Denied, Unauthorized
from gateway.tenants.repository import find_key

__all__ = ["Authenticator", "Principal", "Scope", "digest_of", "new_key"]

_TRUST_SECONDS = 30.0  # how long another process's revocation may go unnoticed; this process evicts at once
_CACHED_KEYS = 10_000


class Scope(StrEnum):
    """What a key may do: ask, act for its own tenant, or act for all."""

    CHAT = "chat"
    MANAGE = "manage"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a tenant, by one of its keys."""

    tenant: str
    tenant_name: str
    key: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


def new_key() -> str:
    """Make a key with 256 random bits."""
    return "sk-braid-" + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Authenticator:
    """Finds the principal of an `authorization` header and checks the scope; default deny."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, tuple[float, Principal]] = {}

    async def authenticate(self, authorization: str | None, scope: Scope) -> Principal:
        """Return the principal, or raise `Unauthorized` (no or unknown key) or `Denied` (scope missing)."""
        if not authorization:
            raise Unauthorized(
                "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.", code="missing_api_key"
            )
        kind, _, key = authorization.partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Unauthorized("The Authorization header isn't of the form 'Bearer YOUR_KEY'.")
        principal = await self._principal(digest_of(key.strip()))
        if scope not in principal.scopes:
            raise Denied(
                f"This key has the scopes {', '.join(sorted(principal.scopes))}, and this call needs {scope.value!r}. "
                "Use a key that has it, or ask an administrator to make one."
            )
        return principal

    def forget(self, digest: str) -> None:
        """Stop trusting a key now."""
        self._cache.pop(digest, None)

    async def _principal(self, digest: str) -> Principal:
        held = self._cache.get(digest)
        now = time.monotonic()
        if held is not None and held[0] > now:
            return held[1]
        async with self._database.read() as session:
            found = await find_key(session, digest)
        if found is None:
            self._cache.pop(digest, None)
            raise Unauthorized(
                "The API key isn't known, or was revoked. Check it, or make another with POST /api/keys."
            )
        key, tenant = found
        principal = Principal(tenant.id, tenant.name, key.id, frozenset(key.scopes))
        if len(self._cache) >= _CACHED_KEYS:
            self._cache.clear()
        self._cache[digest] = (now + _TRUST_SECONDS, principal)
        return principal
