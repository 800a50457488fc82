"""Private repositories: the operator's token or key opens them, and nobody gets to see it."""

import asyncio
import base64
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import Settings
from gateway.sources.git_repository import open_repository
from gateway.sources.kinds import allow_origins
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import SourceUnreadable
from gateway.sources.repository_credentials import RepositoryCredential, find_private_place
from gateway.sources.schemas import Repository
from tests.gateway.sources.test_git_repository import repository

__all__ = ["repository"]

TOKEN = "glpat-very-secret-1"
WORDS = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class Host:
    """A git server over HTTP that tells back in its refusal which authorization it was sent."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await self._answer(line.decode().split()[1], reader, writer)
        finally:
            writer.close()

    async def _answer(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers: dict[str, str] = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        authorization = headers.get("authorization", "")
        self.requests.append((path, authorization))
        if authorization != f"Basic {WORDS}":
            refusal = f"refused: {authorization}".encode()
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(refusal)
            )
            writer.write(refusal)
            return
        first = path.endswith("git-upload-pack") and "info/refs" in path
        arguments = ("upload-pack", "--stateless-rpc", *(("--advertise-refs",) if first else ()), str(self.repository))
        process = await asyncio.create_subprocess_exec(
            *("git", *arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate(body)
        kind = "advertisement" if first else "result"
        output = (b"001e# service=git-upload-pack\n0000" if first else b"") + output
        head = f"Content-Type: application/x-git-upload-pack-{kind}\r\nContent-Length: {len(output)}\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode() + output)


@pytest.fixture
async def host(repository: Path) -> AsyncIterator[Host]:
    host = Host(repository)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/team"
    async with server:
        yield host


async def test_a_token_opens_a_repository_and_is_seen_nowhere(host: Host, tmp_path: Path) -> None:
    work, credential = tmp_path / "work", RepositoryCredential(host.url, secret=TOKEN)
    place = f"{host.url}/docs.git", "main", PathFilter(["*.md"]), PublicAddresses(), work
    async with open_repository(*place, credential=credential, protocols=("http",)) as reader:
        command = " ".join(reader._git._command)
        file = work / "credential.config"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list((await reader.scan({})).items) == ["docs/a.md"]
        kept = [path for path in work.rglob("*") if path.is_file() and path != file]
        assert not any(secret in path.read_bytes() for path in kept for secret in (TOKEN.encode(), WORDS.encode()))
    assert TOKEN not in command
    assert WORDS not in command
    assert not work.exists()
    assert {authorization for _, authorization in host.requests} == {f"Basic {WORDS}"}


async def test_a_token_goes_to_its_own_place_alone(host: Host, tmp_path: Path) -> None:
    other = f"{host.url.removesuffix('team')}other/docs.git"
    credential = RepositoryCredential(host.url, secret=TOKEN)
    place = other, "main", PathFilter(), PublicAddresses(), tmp_path / "work"
    async with open_repository(*place, credential=credential, protocols=("http",)) as reader:
        with pytest.raises(SourceUnreadable):
            await reader.scan({})
    assert {authorization for _, authorization in host.requests} == {""}


async def test_what_a_server_says_of_a_wrong_token_does_not_show_it(host: Host, tmp_path: Path) -> None:
    credential = RepositoryCredential(host.url, secret="me:wrong-one")
    place = f"{host.url}/docs.git", "main", PathFilter(), PublicAddresses(), tmp_path / "work"
    async with open_repository(*place, credential=credential, protocols=("http",)) as reader:
        with pytest.raises(SourceUnreadable) as caught:
            await reader.scan({})
    sent = base64.b64encode(b"me:wrong-one").decode()
    assert host.requests[0][1] == f"Basic {sent}"
    assert not any(secret in str(caught.value) for secret in ("wrong-one", sent))
    assert credential.hide(f"remote: refused: Basic {sent} wrong-one") == "remote: refused: Basic … …"


async def test_a_key_opens_a_repository_at_the_address_that_was_looked_up(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in place of ssh writes down how it was called, and then does what the other end would."""
    program, called = tmp_path / "bin" / "ssh", tmp_path / "called"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {called}\nexec git upload-pack {repository}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    key = tmp_path / "keys" / "id"
    place = "ssh://git@127.0.0.1/docs.git", "main", PathFilter(["*.md"]), PublicAddresses(["127.0.0.0/8"])
    credential = RepositoryCredential("ssh://git@127.0.0.1", key=key)
    async with open_repository(*place, tmp_path / "work", credential=credential) as reader:
        assert list((await reader.scan({})).items) == ["docs/a.md"]
    words = called.read_text()
    for option in ("StrictHostKeyChecking=yes", "HostName=127.0.0.1", f"IdentityFile={key}", "BatchMode=yes"):
        assert f"-o {option} " in words
    assert f"UserKnownHostsFile={key.parent / 'known_hosts'}" in words


PLACES = ("https://git.example.com/{tenant}/=TOKEN", "ssh://git@git.example.com/docs=KEY")


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://git.example.com/kestrel/docs.git", "TOKEN"),
        ("https://GIT.example.com/kestrel", "TOKEN"),
        ("ssh://git@git.example.com/docs/a", "KEY"),
        ("https://git.example.com/harbor/docs.git", None),
        ("https://git.example.com/kestrels/docs.git", None),
        ("https://git.example.com/kestrel/../harbor/docs.git", None),
        ("https://git.example.com/kestrel/%2e%2e/harbor/docs.git", None),
        ("https://git.example.com/kestrel//docs.git", None),
        ("https://git.example.com:444/kestrel/docs.git", None),
        ("https://git.example.com.evil.example/kestrel/docs.git", None),
        ("ssh://root@git.example.com/docs/a", None),
        ("https://[::1/x", None),
    ],
)
def test_a_place_is_a_tenant_s_by_its_name(url: str, variable: str | None) -> None:
    place = find_private_place(PLACES, url, "kestrel")
    assert (place.variable if place else None) == variable


def test_what_opens_it_is_the_environment_s(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, source_repositories=PLACES)
    check = allow_origins(settings)
    check(Repository(kind="git", url="ssh://git@git.example.com/docs/a"), "kestrel")
    for url in ("ssh://git@git.example.com/other", "ssh://git.example.com/docs/a"):
        with pytest.raises(SourceUnreadable, match="by ssh:// where"):
            check(Repository(kind="git", url=url), "kestrel")
    place = find_private_place(PLACES, "https://git.example.com/kestrel/a", "kestrel")
    assert place is not None
    assert place.open({"TOKEN": TOKEN}).secret == TOKEN
    with pytest.raises(SourceUnreadable, match="lacks what opens it"):
        place.open({})
    for wrong in ("https://git.example.com/x", "http://git.example.com/x=T", "https://git.example.com=BRAID_TOKEN"):
        with pytest.raises(ValidationError, match="VARIABLE"):
            Settings(home=tmp_path, source_repositories=(wrong,))
