"""A Qdrant server as its operator names it: URL, key, certificates; and its refusals in words."""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from retrieval.backends.remote import CHANGE_SECONDS

__all__ = ["QdrantServer", "QdrantUnusable"]


_LOOK_SECONDS = 10.0


class QdrantUnusable(Exception):
    """The Qdrant server can't be reached, or refuses what the index needs."""


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """The way to a server. `ca_file` has certificates (PEM), for one that the system's don't vouch for."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def make_client(self) -> AsyncQdrantClient:
        """Make a client that waits as long as the longest change takes.

        Raises:
            QdrantUnusable: The certificates can't be read, or a key would go over the network in the clear.
        """
        if self.api_key and not self.url.startswith("https://") and not _is_local(self.url):
            raise QdrantUnusable(
                f"An API key would be sent to {self.url} in the clear. Give an https:// URL, or leave the key out."
            )
        verify: ssl.SSLContext | bool = True
        if self.ca_file is not None:
            try:
                verify = ssl.create_default_context(cafile=str(self.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise QdrantUnusable(f"The certificates in {self.ca_file} can't be used: {error}.") from error
        return AsyncQdrantClient(
            url=self.url, api_key=self.api_key, timeout=CHANGE_SECONDS, verify=verify, check_compatibility=False
        )

    async def look_at(self) -> None:
        """Find out whether anything answers at the URL and takes the key; what else it may lack shows when it is used.

        Raises:
            QdrantUnusable: Nothing does.
        """
        client = self.make_client()
        try:
            await asyncio.wait_for(client.get_collections(), _LOOK_SECONDS)
        except TimeoutError as error:
            raise QdrantUnusable(
                f"The Qdrant server at {self.url} doesn't answer: it said nothing for {_LOOK_SECONDS:g} s. Check that "
                "it runs and can be reached from here."
            ) from error
        except ResponseHandlingException as error:
            if not isinstance(error.source, ValueError):  # that would be an answer which isn't understood
                raise QdrantUnusable(self.explain(error)) from error
        except UnexpectedResponse as error:
            if error.status_code == 401:  # a key of one collection alone is refused with 403
                raise QdrantUnusable(self.explain(error)) from error
        finally:
            await client.close()

    def explain(self, error: ApiException) -> str:
        """Say why the server can't be used, and what to do."""
        if isinstance(error, UnexpectedResponse) and error.status_code in (401, 403):
            words = "the key that it was given" if self.api_key else "calls without a key"
            return (
                f"The Qdrant server at {self.url} refuses {words} ({error.status_code}). Give one that may write, as "
                "BRAID_QDRANT_API_KEY (or a file with it, BRAID_QDRANT_API_KEY_FILE)."
            )
        return (
            f"The Qdrant server at {self.url} can't be used: {error}. Check that it runs and that its certificate is "
            "known here (BRAID_QDRANT_CA_FILE), or leave the URL out."
        )


def _is_local(url: str) -> bool:
    host = url.split("://", 1)[-1].split("/", 1)[0]
    return host.startswith(("127.", "localhost", "[::1]"))
