"""The gateway's HTTP client: what commands, the demo, evaluations and examples ask a running gateway with."""

from gateway.client.documents import find_store, put_document
from gateway.client.http import AmbiguousName, Client, ClientError, GatewayError, GatewayUnreachable
from gateway.client.profile import Profile

__all__ = [
    "AmbiguousName",
    "Client",
    "ClientError",
    "GatewayError",
    "GatewayUnreachable",
    "Profile",
    "find_store",
    "put_document",
]
