"""The character U+0000 in a JSON body, however its escape is written and wherever the body is cut."""

import asyncio
import json
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
    ("kind", "checked"),
    [("application/json", True), ("Application/JSON; charset=utf-8", True), ("application/x+json", True),
     ("text/plain", False), ("application/octet-stream", False), ("", False)],
)  # fmt: skip
def test_only_json_is_looked_at(kind: str, checked: bool) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"headers": [(b"host", b"a"), (b"content-type", kind.encode())]}
    assert (NulCheck.wrap(scope, receive) is not receive) == checked
