"""Which ports can be listened on."""

import socket

__all__ = ["free_ports", "is_free"]


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError:
        return False
    return True


def free_ports(host: str, first: int, count: int) -> int:
    """Return the lowest port from `first` on that has `count` free ones in a row."""
    for port in range(first, 65_536 - count):
        if all(is_free(host, port + offset) for offset in range(count)):
            return port
    raise OSError(f"No {count} ports in a row are free on {host} from {first} on.")
