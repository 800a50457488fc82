"""HTTP to a running gateway: a request goes out, parsed JSON or an error that says what to do comes back."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from gateway.task_group import await_whole

__all__ = ["AmbiguousName", "Client", "ClientError", "GatewayError", "GatewayUnreachable"]


class ClientError(Exception):
    """An expected failure: its message says what happened and what to do next."""


class GatewayUnreachable(ClientError):
    """Nothing answers at that address, or something that isn't a Braid gateway does."""


class GatewayError(ClientError):
    """The gateway answered with an error; `status` is HTTP's, `code` the machine-readable reason.

    `param` is the member of the request that is at fault, where it is one's.
    """

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class AmbiguousName(ClientError):
    """Several things have the name that was given."""


class Client:
    """An HTTP client of one gateway with one key. Use it as an async context manager.

    Args:
        url: The gateway's address, without a path.
        key: Sent with every request.
        timeout: Seconds without a byte until a request counts as failed.

    Raises:
        GatewayUnreachable: The address can't be one.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 120.0) -> None:
        self.url = url
        self.key = key
        limits = httpx2.Limits(max_connections=32)
        headers = {"authorization": f"Bearer {key}"}
        try:
            self._client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=timeout, limits=limits)
        except httpx2.InvalidURL as error:
            raise GatewayUnreachable(
                f"{url!r} is no address of a gateway ({error}). One has the form http://host:port."
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await await_whole(self._client.aclose())

    async def get(self, path: str, **options: Any) -> Any:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return await self.call("POST", path, json=body, **options)

    async def put(self, path: str, body: Any = None, **options: Any) -> Any:
        return await self.call("PUT", path, json=body, **options)

    async def delete(self, path: str, **options: Any) -> Any:
        return await self.call("DELETE", path, **options)

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request (options as in httpx2) and return the parsed JSON.

        Raises:
            GatewayError: An error status.
            GatewayUnreachable: Nothing answers, or something that isn't the gateway does.
        """
        return (await self._send(method, path, options))[0]

    async def post_for_headers(self, path: str, body: Any) -> tuple[Any, Mapping[str, str]]:
        """Post as `post` does, and return the answer's headers as well."""
        return await self._send("POST", path, {"json": body})

    async def _send(self, method: str, path: str, options: Mapping[str, Any]) -> tuple[Any, Mapping[str, str]]:
        try:
            response = await self._client.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None
        _check(response, response.content)
        return _parse(response.content) if response.content else None, response.headers

    async def read_rows(self, path: str) -> AsyncIterator[Any]:
        """Yield everything in a list, page by page, oldest first."""
        query: dict[str, Any] = {"limit": 100, "order": "asc"}
        while True:
            page = await self.get(path, params=query)
            for row in page["data"]:
                yield row
            if not page.get("has_more"):
                return
            query["after"] = page["last_id"]

    async def read_content(self, path: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an answer as they come.

        Raises:
            GatewayError: An error status.
            GatewayUnreachable: Nothing answers, or stops to.
        """
        try:
            async with self._client.stream("GET", path) as response:
                if response.status_code >= 400:
                    _check(response, await response.aread())
                async for part in response.aiter_bytes():
                    yield part
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None

    @asynccontextmanager
    async def stream(self, path: str, body: Any) -> AsyncGenerator[AsyncIterator[Any]]:
        """Post `body` and yield the answer's events as they come, parsed; an error event raises `GatewayError`."""
        try:
            async with self._client.stream("POST", path, json=body) as response:
                if response.status_code >= 400:
                    _check(response, await response.aread())
                yield _events(response)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx2.HTTPError) -> GatewayUnreachable:
        if isinstance(error, httpx2.TimeoutException):
            return GatewayUnreachable(f"{self.url} took too long to answer ({type(error).__name__}).")
        if isinstance(error, httpx2.UnsupportedProtocol):
            return GatewayUnreachable(
                f"{self.url!r} is no address of a gateway. Give one such as http://127.0.0.1:8080."
            )
        return GatewayUnreachable(
            f"{self.url} can't be reached ({error or type(error).__name__}). "
            "Is it running? 'braid up' starts a gateway here; --url names another one."
        )


async def _events(response: httpx2.Response) -> AsyncGenerator[Any]:
    complete = False
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            complete = True
            continue
        event = _parse(data.encode())
        if "error" in event:
            raise GatewayError(502, str(event["error"].get("message")), event["error"].get("code"))
        yield event
    if not complete:
        raise GatewayError(502, "The answer broke off: the stream ended without its end mark. Ask again.")


def _check(response: httpx2.Response, content: bytes) -> None:
    if response.status_code < 400:
        return
    try:
        error = msgspec.json.decode(content)["error"]
        message, code, param = str(error["message"]), error.get("code"), error.get("param")
    except (msgspec.MsgspecError, KeyError, TypeError):
        url = response.request.url
        raise GatewayError(
            response.status_code,
            f"{response.request.method} {url} gave status {response.status_code} and no error in Braid's form. "
            "Is this the address of a Braid gateway?",
        ) from None
    raise GatewayError(response.status_code, message, code, param)


def _parse(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.MsgspecError:
        raise GatewayUnreachable(
            f"The answer is no JSON: {content[:80]!r}. Is this the address of a Braid gateway?"
        ) from None
