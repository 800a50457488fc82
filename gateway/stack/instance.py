"""One Braid per home folder: its lock, and the ports that are free for it."""

import fcntl
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gateway.terminal import CommandError, Exit

__all__ = ["Instance", "explain_socket_path", "find_free_ports", "is_free"]

_SOCKET_PATH_BYTES = 107  # what Linux allows in a Unix socket's address


class Instance:
    """The lock `<home>/run/up.lock`. `braid up` holds it while it runs; the kernel frees it however that ends."""

    @staticmethod
    def locate_file(home: Path) -> Path:
        return home / "run" / "up.lock"

    @classmethod
    @contextmanager
    def only(cls, home: Path) -> Generator[None]:
        """Hold the lock.

        Raises:
            CommandError: Another `braid up` runs with this home, or the folder can't be written.
        """
        file = cls.locate_file(home)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = file.open("a+")
        except OSError as error:
            raise CommandError(
                f"The home folder {home} can't be written: {error.strerror}. "
                "Choose another one with --home or BRAID_HOME.",
                Exit.USAGE,
            ) from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"Braid is running already with the home folder {home} (process {cls.find_process(home)}). "
                    "Stop that one, or start this one with another --home and --port.",
                    Exit.CONFLICT,
                ) from None
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    @classmethod
    def find_process(cls, home: Path) -> int | None:
        """Return the process id of the Braid that runs with this home, or None."""
        try:
            with cls.locate_file(home).open() as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(handle.read() or 0)
        except (FileNotFoundError, NotADirectoryError):
            pass
        return None


def explain_socket_path(home: Path) -> str | None:
    """Say what is wrong with a home folder whose path is too long for a Unix socket in it."""
    path = home.resolve() / "run" / "retriever.sock"
    length = len(os.fsencode(path))
    if length <= _SOCKET_PATH_BYTES:
        return None
    return f"The path {path} has {length} bytes, and a Unix socket's may have {_SOCKET_PATH_BYTES}."


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


def find_free_ports(host: str, first: int, count: int) -> int:
    """Return the lowest port from `first` on that has `count` free ones in a row."""
    for port in range(first, 65_536 - count):
        if all(is_free(host, port + offset) for offset in range(count)):
            return port
    raise OSError(f"No {count} ports in a row are free on {host} from {first} on.")
