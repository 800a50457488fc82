"""What a client reads of a body that can't be decoded: what was wrong with it, and what may stand there."""

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from gateway.chat.request import decode_request
from gateway.errors import BadRequest
from gateway.openai_format.body import decode_body
from gateway.responses.request import decode_request as decode_response_request

HI: dict[str, Any] = {"role": "user", "content": "Hi"}


class _Part(msgspec.Struct):
    kind: Literal["a", "b"] | None = None


class _Body(msgspec.Struct):
    level: Literal[1, 2] | None = None
    parts: Annotated[list[_Part], Meta(max_length=3)] = []
    inner: _Part | None = None


_decoder = msgspec.json.Decoder(_Body)


@given(
    st.sampled_from([("level", {"level": 7}, "1, 2"), ("inner.kind", {"inner": {"kind": "x"}}, "a, b")])
    | st.integers(0, 2).map(
        lambda at: (f"parts[{at}].kind", {"parts": [{"kind": "a"}] * at + [{"kind": "x"}]}, "a, b"),
    )
)
def test_of_a_value_that_is_none_of_some_the_others_are_told(wrong: tuple[str, dict[str, Any], str]) -> None:
    path, body, choices = wrong
    with pytest.raises(BadRequest) as caught:
        decode_body(_decoder, json.dumps(body).encode())
    assert caught.value.param == path
    assert caught.value.message.endswith(f"can't be '{path}'. Use one of {choices}.")


def test_the_roles_and_what_may_be_cut_are_told_to_clients() -> None:
    with pytest.raises(BadRequest, match="assistant, developer, function, system, tool, user"):
        decode_request(json.dumps({"model": "m", "messages": [HI, {"role": "narrator", "content": "x"}]}).encode())
    with pytest.raises(BadRequest, match="Use one of auto, disabled"):
        decode_response_request(b'{"model": "m", "input": "x", "truncation": "on"}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_told(number: str) -> None:
    with pytest.raises(BadRequest, match="JSON has no NaN and no Infinity") as caught:
        decode_body(_decoder, b'{"level": %s}' % number.encode())
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_that_is_too_deep_is_not_said_to_be_no_json(opening: bytes, depth: int) -> None:
    with pytest.raises(BadRequest, match="within each other") as caught:
        decode_body(_decoder, b'{"other": ' + opening * depth)
    assert caught.value.code == "invalid_json"
