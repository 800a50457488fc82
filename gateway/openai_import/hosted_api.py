"""OpenAI's API as it answers in its last days: pages, slow answers, refusals for a while, endpoints that are gone."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
import msgspec

from gateway.errors import BAD_JSON
from gateway.task_group import await_whole

__all__ = ["HostedApi", "HostedApiFailed", "HostedRefusal"]

_TIMEOUT_SECONDS = 60.0
_ATTEMPTS = 8
_LONGEST_PAUSE = 60.0
Answer = TypeVar("Answer")

_SCOPES = re.compile("(?i)missing scopes|insufficient permissions")
_LATER = (408, 409, 425, 429)


class HostedApiFailed(Exception):
    """OpenAI can't be asked: it doesn't answer, or refuses the key. The message says what to do."""


class HostedRefusal(Exception):
    """OpenAI answers, and not with this: it is gone, or the key may not read it."""


class HostedApi:
    """Reads from OpenAI with a key, which is sent to that address alone and never kept. Use it as a context manager.

    Args:
        url: The API's address, with its version.
        key: A key that may read the project.
        pause: Seconds before the first repetition; each further one waits twice as long, unless the answer says how
            long.
    """

    def __init__(self, url: str, key: str, *, pause: float = 1.0, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._pause = pause
        headers = {"authorization": f"Bearer {key}"}
        self._client = httpx2.AsyncClient(headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await await_whole(self._client.aclose())

    async def read_rows(self, path: str, params: Mapping[str, Any], after: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield a list's objects, page by page, behind the one with the id `after`.

        Raises:
            HostedRefusal: There is no such list, or the key may not read it.
            HostedApiFailed: OpenAI doesn't answer, or refuses the key.
        """
        while True:
            query = {**params, **({"after": after} if after else {})}
            try:
                page = msgspec.json.decode(await self._read(path, query))
                data: list[dict[str, Any]] = page["data"]
            except (*BAD_JSON, KeyError, TypeError):
                raise HostedApiFailed(
                    f"{self._url}{path} answers with something that is no list of OpenAI's."
                ) from None
            for row in data:
                yield row
            if not data or not page.get("has_more"):
                return
            after = page.get("last_id") or data[-1]["id"]

    async def read_text(self, path: str) -> str:
        """Return the text of a file's parsed content, whose pages are put together; raises as `read_rows` does."""
        texts: list[str] = []
        page: str | None = ""
        while page is not None:
            try:
                answer = msgspec.json.decode(await self._read(path, {"page": page} if page else {}))
                texts += [one.get("text") or "" for one in answer.get("data", ())]
                page = answer.get("next_page") if answer.get("has_more") else None
            except (*BAD_JSON, AttributeError, TypeError):
                raise HostedApiFailed(
                    f"{self._url}{path} answers with something that is no content of a file."
                ) from None
        return "\n".join(texts)

    async def save(self, path: str, file: Path) -> None:
        """Write the bytes of an answer to a file, as they come, which has its name when they are all there."""
        partial = file.with_name(f"{file.name}.partial")

        async def write(response: httpx2.Response) -> None:
            with partial.open("wb") as handle:
                async for part in response.aiter_bytes():
                    handle.write(part)

        await self._ask(path, {}, write)
        partial.replace(file)

    async def _read(self, path: str, params: Mapping[str, Any]) -> bytes:
        async def read(response: httpx2.Response) -> bytes:
            return await response.aread()

        return await self._ask(path, params, read)

    async def _ask(
        self, path: str, params: Mapping[str, Any], take: Callable[[httpx2.Response], Awaitable[Answer]]
    ) -> Answer:
        """Ask until there is a whole answer, and return what `take` makes of it."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            wait = min(self._pause * 2**attempt, _LONGEST_PAUSE)
            try:
                async with self._client.stream("GET", f"{self._url}{path}", params=dict(params)) as response:
                    if response.status_code < 400:
                        return await take(response)
                    await response.aread()
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise HostedApiFailed(
                    f"{self._url!r} is no address of an API ({error}). Set OPENAI_BASE_URL to one, or leave it out."
                ) from None
            except httpx2.HTTPError as error:
                reason = f"no answer ({type(error).__name__})"
            else:
                reason, wait = f"status {response.status_code}", _read_pause(response, wait)
                # A valid key that may not read this list is a 401, too, or a 403.
                if response.status_code == 401 and not _SCOPES.search(_read_message(response)):
                    raise HostedApiFailed("OpenAI refuses the key (status 401). Set OPENAI_API_KEY to a valid one.")
                if response.status_code < 500 and response.status_code not in _LATER:
                    raise HostedRefusal(f"OpenAI answers {path} with {_describe(response)}")
            await asyncio.sleep(wait)
        raise HostedApiFailed(
            f"OpenAI didn't answer {path} in {_ATTEMPTS} attempts: {reason}. Run the command again later: what it has "
            "read stays, and it goes on from there."
        )


def _read_pause(response: httpx2.Response, otherwise: float) -> float:
    try:
        return min(max(float(response.headers.get("retry-after", "")), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return otherwise


def _describe(response: httpx2.Response) -> str:
    message = _read_message(response)
    return f"status {response.status_code}{f': {message}' if message else ''}"


def _read_message(response: httpx2.Response) -> str:
    """Return an error's words, which stand in an object or alone; "" where there are none."""
    try:
        error = msgspec.json.decode(response.content)["error"]
        message = error if isinstance(error, str) else error["message"]
    except (*BAD_JSON, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
