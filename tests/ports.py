"""Ports for the servers of tests that have to know theirs before they listen."""

import atexit
import functools
import socket

from gateway.stack.instance import is_free

__all__ = ["find_port"]

# Below what systems give to outgoing connections, which tests have by the hundred, and above Ray's workers.
_BLOCKS = range(20_000, 32_000, 100)


class _Block:
    """The ports of this process of tests; its first one is bound for as long as the process lives."""

    def __init__(self) -> None:
        for first in _BLOCKS:
            self._guard = socket.socket()
            try:
                self._guard.bind(("127.0.0.1", first))
            except OSError:
                self._guard.close()
                continue
            atexit.register(self._guard.close)
            self._ports = range(first + 1, first + _BLOCKS.step)
            self._next = 0
            return
        raise OSError("All blocks of ports belong to other tests.")

    def take(self, count: int) -> int:
        for _ in self._ports:
            start = self._next if self._next + count <= len(self._ports) else 0
            self._next = start + count
            if all(is_free("127.0.0.1", port) for port in self._ports[start : self._next]):
                return self._ports[start]
        raise OSError(f"No {count} ports in a row are free in {self._ports}.")


_block = functools.cache(_Block)


def find_port(count: int = 1) -> int:
    """Return the first of `count` ports in a row that nobody listens on, and that no other test is given soon."""
    return _block().take(count)
