"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, gone with the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["PostgresqlServer", "find_programs"]

_FOLDERS = "/usr/lib/postgresql/*/bin"
# Nothing here has to outlive the machine.
_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100", "listen_addresses=")


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`, of the newest version where there are several."""
    here = shutil.which("initdb")
    folders = [Path(here).parent] if here else []
    folders += sorted(Path("/").glob(_FOLDERS[1:]), reverse=True)
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


class PostgresqlServer:
    """A running server; each test makes its database in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, database: str) -> str:
        """Return a database's URL as Braid's settings take it."""
        return f"postgresql+psycopg://braid@/{database}?host={self._folder}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, with all that is in another one, and return its URL."""
        self._run(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Delete a database, whoever is still connected."""
        self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(host=str(self._folder), user="braid", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    @classmethod
    @contextmanager
    def running(cls, programs: Path) -> Generator["PostgresqlServer"]:
        """Run a server; as root, it runs as nobody, since PostgreSQL refuses to be root."""
        with tempfile.TemporaryDirectory(prefix="braid-postgresql-") as name:
            folder = Path(name)
            other: dict[str, Any] = {}
            if os.getuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
                other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            data = folder / "data"
            made = subprocess.run(
                [programs / "initdb", "-D", data, "-U", "braid", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
                capture_output=True, text=True, cwd=folder, **other,
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
            options = [part for option in _OPTIONS for part in ("-c", option)]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [programs / "postgres", "-D", data, "-k", folder, *options],
                    stdout=log, stderr=log, cwd=folder, **other,
                )  # fmt: skip
            try:
                server = cls(folder)
                server._wait(process)
                yield server
            finally:
                process.send_signal(signal.SIGQUIT)  # at once, whoever is connected
                process.wait(30)

    def _wait(self, process: "subprocess.Popen[Any]", seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > until:
                    raise AssertionError((self._folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return
