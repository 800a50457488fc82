"""Credentials of private repositories: the operator says which places have one, and the worker's environment has it.

No tenant sends one, and none is in the database, in a log, in an error or in a program's arguments: a token lies in a
file of the sync's own folder, which only this user may read, for as long as the sync takes; a key stays where it is.
"""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.sources.reader import SourceUnreadable

__all__ = ["PrivatePlace", "RepositoryCredential", "find_private_place"]

_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~+-]+)+/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RepositoryCredential:
    """A token or a key that opens repositories.

    Attributes:
        address: The place that it is for, without a path behind it.
        secret: A token, or `user:token`; "" where it is a key.
        key: The file of a private SSH key; `known_hosts` beside it has the host's keys.
    """

    address: str
    secret: str = ""
    key: Path | None = None

    def write_settings(self, file: Path) -> None:
        """Write git's configuration with the token, for requests below this address alone."""
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(f'[http "{self.address}"]\n\textraHeader = "Authorization: Basic {self._encode()}"\n')

    def hide(self, text: str) -> str:
        """Return a text without the secret, which a server may have told back."""
        for secret in (self.secret.rpartition(":")[2], self._encode()) if self.secret else ():
            text = text.replace(secret, "…")
        return text

    def _encode(self) -> str:
        user, _, token = self.secret.rpartition(":")
        return base64.b64encode(f"{user or 'x-access-token'}:{token}".encode()).decode()


@dataclass(frozen=True, slots=True)
class PrivatePlace:
    """A place of private repositories, and the variable of the worker's environment with what opens them."""

    address: str
    variable: str

    @property
    def protocol(self) -> str:
        return self.address.partition("://")[0]

    def open(self, environment: Mapping[str, str] = os.environ) -> RepositoryCredential:
        """Take the credential from the environment.

        Raises:
            SourceUnreadable: It isn't there.
        """
        value = environment.get(self.variable, "")
        if not value:
            raise SourceUnreadable(
                "The repository is private, and the worker's environment lacks what opens it. The operator names the "
                "variable in the setting source_repositories."
            )
        if self.protocol == "ssh":
            return RepositoryCredential(self.address, key=Path(value))
        return RepositoryCredential(self.address, secret=value)


def find_private_place(places: Sequence[str], url: str, tenant: str) -> PrivatePlace | None:
    """Return the place in which the repository at `url` is, of those that a tenant may read; None where it is in none.

    Args:
        places: The operator's (`source_repositories`); `{tenant}` in one stands for the tenant's name.
        url: The repository's.
        tenant: The tenant's name.
    """
    repository = _split(url)
    for text in places if tenant and repository else ():
        place, _, variable = text.rpartition("=")
        address = place.rstrip("/").replace("{tenant}", tenant)
        lendable = _split(address)
        if (
            repository
            and lendable
            and repository[0] == lendable[0]
            and repository[1][: len(lendable[1])] == lendable[1]
        ):
            return PrivatePlace(address, variable)
    return None


def _split(url: str) -> tuple[tuple[str, str], list[str]] | None:
    """Return where a repository is, and its path's parts; None for what could mean another place on its server."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not parts.netloc or parts.query or parts.fragment or (parts.path and not _PATH.fullmatch(parts.path)):
        return None
    path = parts.path.strip("/")
    return (parts.scheme, parts.netloc.lower()), path.split("/") if path else []
