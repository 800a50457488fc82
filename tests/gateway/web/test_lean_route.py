from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from gateway.errors import PayloadTooLarge
from gateway.web.dependencies import ChatKey, ManageKey
from gateway.web.lean_route import LeanRoute, read_body


def test_an_endpoint_without_a_key_cannot_be_a_lean_route() -> None:
    async def open_to_all(request: Request) -> Response:
        return PlainTextResponse("secret")

    with pytest.raises(TypeError, match="has to depend on its key"):
        LeanRoute("/open", open_to_all, response_class=Response)


def test_an_endpoint_with_more_dependencies_cannot_be_a_lean_route() -> None:
    async def with_two(request: Request, principal: ChatKey, other: ManageKey) -> Response:
        return PlainTextResponse("")

    with pytest.raises(TypeError, match="on nothing else"):
        LeanRoute("/two", with_two, response_class=Response)


def request_of(*messages: dict[str, Any]) -> Request:
    pending = list(messages)

    async def receive() -> dict[str, Any]:
        return pending.pop(0)

    return Request({"type": "http", "headers": []}, receive)


async def test_a_body_in_pieces_is_read_whole() -> None:
    first = {"type": "http.request", "body": b"ab", "more_body": True}
    assert await read_body(request_of(first, {"type": "http.request", "body": b"cd"}), 4) == b"abcd"


async def test_a_body_over_the_limit_is_refused_before_it_is_whole() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_body(request_of({"type": "http.request", "body": b"abcde", "more_body": True}), 4)


async def test_a_client_that_leaves_before_its_body_is_whole_gets_nothing() -> None:
    first = {"type": "http.request", "body": b"ab", "more_body": True}
    with pytest.raises(ClientDisconnect):
        await read_body(request_of(first, {"type": "http.disconnect"}), 4)
