"""Addresses that a tenant may have this machine ask: public ones, looked at after the name was resolved."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import cast

import httpcore2

from gateway.sources.reader import SourceUnreadable

__all__ = ["PinnedNetwork", "PublicAddresses", "Resolve", "resolve_name"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; `OSError` where it has none."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNICAST = ipaddress.ip_network("2000::/3")
"""The part of IPv6 that is given out. Outside of it are the ways to write an IPv4 address, NAT64's among them."""
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23", "2002::/16")))


async def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system for a host's addresses; it also reads decimal, octal and hexadecimal ways to write one."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class PublicAddresses:
    """Resolves names, and refuses those with any address that isn't public: private, this machine's, link-local (a
    cloud's metadata), multicast, or an old way to write one of these.

    Args:
        allowed: Networks that the operator allows all the same (`source_networks`).
        resolve: Asks for a name's addresses.
    """

    def __init__(self, allowed: Sequence[str] = (), resolve: Resolve = resolve_name) -> None:
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)
        self._resolve = resolve

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return a host's addresses, which the caller then connects to, and to no others.

        Raises:
            SourceUnreadable: It has none, or one that isn't public. The message doesn't tell which: it would map the
                network inside.
        """
        try:
            addresses = [ipaddress.ip_address(text.split("%")[0]) for text in await self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError):
            addresses = []
        if not addresses or not all(map(self._is_public, addresses)):
            raise SourceUnreadable(
                # Without its name: that is blurred in what a tenant reads, since hosts may be of the network inside.
                "The source's host can't be found, or has no public address. Look whether its name is spelt right; "
                "sources are read from public addresses, and from the networks that the operator names in the setting "
                "source_networks."
            )
        return [str(address) for address in addresses]

    def _is_public(self, address: _Address) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address.version == network.version and address in network for network in self._allowed):
            return True
        if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
            return False
        special = any(address.version == network.version and address in network for network in _SPECIAL)
        return address.is_global and not address.is_multicast and not special


class PinnedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were looked at, so that no second answer of a name server gets in between."""

    def __init__(self, addresses: PublicAddresses) -> None:
        self._addresses = addresses
        self._inner: httpcore2.AsyncNetworkBackend = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to one of the host's addresses, the first that answers."""
        failure: Exception | None = None
        for address in await self._addresses.resolve(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise httpcore2.ConnectError("no address answered") from failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
