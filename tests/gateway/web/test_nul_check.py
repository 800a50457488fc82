"""The character U+0000 in a JSON body, however its escape is written and wherever the body is cut."""

import asyncio
import json
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from gateway.errors import BadRequest
from gateway.web.nul_check import NulCheck

TEXT = st.text(alphabet=["\0", "\\", "u", "0", "a", '"', "\u00e9"], max_size=12)


async def _read(parts: Sequence[bytes]) -> bytes:
    rest = list(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    check = NulCheck(receive)
    return b"".join([(await check.receive())["body"] for _ in parts])


@settings(max_examples=300, deadline=None)
@given(TEXT, st.lists(st.integers(0, 60), max_size=4))
def test_a_body_is_refused_if_a_text_in_it_has_the_character(text: str, cuts: list[int]) -> None:
    body = json.dumps({"a": [text]}).encode()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    parts = [body[start:end] for start, end in pairwise(edges)]
    if "\0" in text:
        with pytest.raises(BadRequest, match="code 0"):
            asyncio.run(_read(parts))
    else:
        assert asyncio.run(_read(parts)) == body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "a", "metadata": {"b": "fine", "c": "a\0"}}, "metadata.c"),
        ({"metadata": {"b\0": "fine"}}, "metadata"),
        ({"list": [{"a": "x"}, {"a": ["", "\0"]}], "z": "\0"}, "list[1].a[1]"),
        ({"a\0": 1}, None),
        ("\0", None),
        (["\0"], "[0]"),
        ({"a": "x" * 70_000, "b": "\0"}, None),  # too long to be searched
        ({"a": "\0", "b": "x" * 70_000}, None),
    ],
)
@pytest.mark.parametrize("size", [1_000, 7])
def test_the_error_names_the_member_that_has_the_character(body: object, param: str | None, size: int) -> None:
    data = json.dumps(body).encode()
    with pytest.raises(BadRequest, match=re.escape(repr(param) if param else "in the body")) as refused:
        asyncio.run(_read([data[start : start + size] for start in range(0, len(data), size)]))
    assert (refused.value.param, refused.value.code) == (param, "out_of_range")


@pytest.mark.parametrize("data", [b'{"a": "\\u0000", ', b"[" * 100_000 + b'"\\u0000"', b'{"a": \\u0000}'])
def test_the_character_is_refused_in_what_is_no_json_too(data: bytes) -> None:
    with pytest.raises(BadRequest, match="in the body has the character with code 0"):
        asyncio.run(_read([data]))


def test_a_client_that_leaves_before_its_body_is_whole_is_waited_for_no_longer() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"a": "\\u0000"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(BadRequest, match="in the body"):
        asyncio.run(NulCheck(receive).receive())


@pytest.mark.parametrize(
    ("kind", "checked"),
    [("application/json", True), ("Application/JSON; charset=utf-8", True), ("application/x+json", True),
     ("text/plain", False), ("application/octet-stream", False), ("", False)],
)  # fmt: skip
def test_only_json_is_looked_at(kind: str, checked: bool) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"headers": [(b"host", b"a"), (b"content-type", kind.encode())]}
    assert (NulCheck.wrap(scope, receive) is not receive) == checked
