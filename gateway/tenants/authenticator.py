"""Keys to principals: one look-up for every door, cached, with revocation at once."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway.db import Database
from gateway.errors import Denied, Unauthorized
from gateway.tenants.repository import find_key

__all__ = ["Authenticator", "Principal", "Scope", "digest_key", "new_key"]

_TRUST_SECONDS = 30.0  # how long another process's revocation may go unnoticed; this process evicts at once
_CACHED_KEYS = 10_000
_UNKNOWN_SECONDS = 1.0  # how long a key that another process has just made may be refused here


_Entry = TypeVar("_Entry")


class Scope(StrEnum):
    """The permissions of a key: ask, act for its own tenant, or act for all."""

    CHAT = "chat"
    MANAGE = "manage"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The asking party: a tenant, by one of its keys."""

    tenant: str
    tenant_name: str
    key: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


def new_key() -> str:
    """Make a key with 256 random bits."""
    return "sk-braid-" + secrets.token_urlsafe(32)


def digest_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Authenticator:
    """Finds the principal of an `authorization` header and checks the scope; default deny."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, tuple[float, Principal]] = {}
        self._unknown: dict[str, tuple[int, float]] = {}
        self._evictions = 0

    async def authenticate(self, authorization: str | None, scope: Scope) -> Principal:
        """Return the principal, or raise `Unauthorized` (no or unknown key) or `Denied` (scope missing)."""
        if not authorization or authorization.isspace():
            raise Unauthorized(
                "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.", code="missing_api_key"
            )
        kind, *rest = authorization.split(maxsplit=1)
        if kind.lower() != "bearer" or not rest:
            raise Unauthorized("The Authorization header isn't of the form 'Bearer YOUR_KEY'.")
        principal = await self._principal(digest_key(rest[0].strip()))
        if scope not in principal.scopes:
            raise Denied(
                f"This key has the scopes {', '.join(sorted(principal.scopes))}, and this call needs {scope.value!r}. "
                "Use a key that has it, or ask an administrator to make one."
            )
        return principal

    def evict(self, digest: str) -> None:
        """Stop trusting a key now."""
        self._cache.pop(digest, None)
        self._evictions += 1

    async def _principal(self, digest: str) -> Principal:
        cached = self._cache.get(digest)
        now = time.monotonic()
        if cached is not None and cached[0] > now:
            return cached[1]
        evictions, revision = self._evictions, self._database.revision
        unknown = self._unknown.get(digest)
        if unknown is not None and unknown[0] == revision and unknown[1] > now:
            raise _refuse()
        async with self._database.read() as session:
            match = await find_key(session, digest)
        if match is None:
            self._cache.pop(digest, None)
            self._unknown.pop(digest, None)
            _remember(self._unknown, digest, (revision, now + _UNKNOWN_SECONDS))
            raise _refuse()
        key, tenant = match
        principal = Principal(tenant.id, tenant.name, key.id, frozenset(key.scopes))
        if evictions == self._evictions:  # else this may be what stood there before a key was revoked
            _remember(self._cache, digest, (now + _TRUST_SECONDS, principal))
        return principal


def _remember(cache: dict[str, _Entry], digest: str, entry: _Entry) -> None:
    """Keep an entry; of a full cache the oldest one goes."""
    if len(cache) >= _CACHED_KEYS:
        del cache[next(iter(cache))]
    cache[digest] = entry


def _refuse() -> Unauthorized:
    return Unauthorized("The API key isn't known, or was revoked. Check it, or make another with POST /api/keys.")
