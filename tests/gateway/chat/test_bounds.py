"""Each bound on what engines compile or look up, at its border."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chat.request import ChatCompletionCreate, decode_request
from gateway.errors import BadRequest
from gateway.openai_format.bounds import MAX_BIASES, MAX_REPEATS, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_TOOLS
from gateway.settings import Settings
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import running

HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def decode(change: dict[str, Any], *, grammars: bool = False) -> ChatCompletionCreate:
    return decode_request(json.dumps({**HI, **change}).encode(), grammars=grammars)


def refusal(change: dict[str, Any], *, grammars: bool = False) -> tuple[str | None, str | None]:
    with pytest.raises(BadRequest) as caught:
        decode(change, grammars=grammars)
    return caught.value.param, caught.value.code


def form(schema: Any, **more: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, **more}}}


def tools(schema: Any, *, choice: Any = None, **more: Any) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": schema, **more}}
    return {"tools": [tool], **({"tool_choice": choice} if choice else {})}


def nested(levels: int) -> dict[str, Any]:
    """A schema with so many levels of objects."""
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"not": schema}
    return schema


def listed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of lists of it."""
    return {"type": "array", "minItems": MAX_REPEATS, "items": schema}


def sized(size: int) -> dict[str, Any]:
    return {"title": "x" * (size - len('{"title":""}'))}


SCHEMA = "response_format.json_schema.schema"
PARAMETERS = "tools[0].function.parameters"
FORCED: dict[str, Any] = {"type": "function", "function": {"name": "look_up"}}


@pytest.mark.parametrize(
    "change",
    [
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "json_object"}},
        form({"type": "object", "properties": {"pattern": {"type": "string"}, "maxLength": {"type": "integer"}}}),
        form({"enum": [{"pattern": "x"}], "default": {"maxItems": 10**9}}),
        form({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}),
        form({"maxLength": MAX_REPEATS}),
        form({"properties": {f"p{number}": {"maxLength": MAX_REPEATS} for number in range(99)}}),
        form(listed({"type": "string"})),
        form({"$defs": {"tree": {"maxItems": 9, "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}),
        form({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "null"}]}),
        form({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}}),
        form({"properties": {"$ref": {"enum": [{"$ref": "#"}]}, "allOf": {"type": "array"}}}),
        form(nested(MAX_SCHEMA_DEPTH)),
        form(sized(MAX_SCHEMA_BYTES)),
        tools({"properties": {"a": {"pattern": "^a+$"}}}),
        tools({"maxItems": MAX_REPEATS + 1}, choice="auto"),
        tools(nested(MAX_SCHEMA_DEPTH), choice=FORCED),
        tools(None),
        {"tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(MAX_TOOLS)]},
        {"logit_bias": {str(n): 100 for n in range(MAX_BIASES)}},
        {"logit_bias": {"5": -100}},
        {"temperature": 0, "top_p": 0, "presence_penalty": -2, "frequency_penalty": -2, "top_logprobs": 0},
        {"temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2},
        {"reasoning_effort": "e" * 32},
        {"stop": "x" * 1024},
        {"messages": [{"role": "user", "content": "Hi", "name": "n" * 255}]},
        {"seed": 2**63 - 1},
        {"seed": -(2**63)},
        {"max_tokens": 2**63 - 1},
        {"n": 16},
        {"top_logprobs": 20, "logprobs": True},
        {"stop": ["x" * 1024] * 4},
        {"metadata": {f"{n:064d}": "v" * 512 for n in range(16)}},
    ],
)
def test_up_to_the_bound_it_is_taken(change: dict[str, Any]) -> None:
    decode(change)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"response_format": {"type": "structural_tag"}}, "response_format.type", "unsupported_format"),
        ({"response_format": {"type": "regex", "regex": "a"}}, "response_format.type", "unsupported_format"),
        ({"response_format": {}}, "response_format.type", "unsupported_format"),
        ({"response_format": {"type": ["text"]}}, "response_format.type", "unsupported_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", None),
        (form({"$ref": "#"}), SCHEMA, "unsupported_format"),
        (form({"type": "array", "minItems": -1}), SCHEMA, "unsupported_format"),
        (tools({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, choice=FORCED), PARAMETERS, "unsupported_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, SCHEMA, None),
        (form({}, name="a b"), "response_format.json_schema.name", None),
        (form({}, name="a" * 65), "response_format.json_schema.name", None),
        (form([]), SCHEMA, None),
        (form(nested(MAX_SCHEMA_DEPTH + 1)), SCHEMA, "schema_too_large"),
        (form(sized(MAX_SCHEMA_BYTES + 1)), SCHEMA, "schema_too_large"),
        (form({"maxLength": MAX_REPEATS + 1}), SCHEMA, "schema_too_large"),
        (form(listed(listed(listed({})))), SCHEMA, "schema_too_large"),
        (form({"anyOf": [{"maxLength": MAX_REPEATS}] * 150}), SCHEMA, "schema_too_large"),
        (form({"$ref": "#/$defs/a", "$defs": {"a": listed({"$ref": "#/$defs/b"}), "b": listed({})}}), SCHEMA,
         "schema_too_large"),
        (form({"items": {"minItems": 1e12}}), SCHEMA, "schema_too_large"),
        (form({"pattern": "(a+)+$"}), SCHEMA, "unsupported_format"),
        (form({"anyOf": [{"patternProperties": {"a+": {}}}]}), SCHEMA, "unsupported_format"),
        (form({"properties": {"a": {"pattern": "a"}}}), SCHEMA, "unsupported_format"),
        (form({"format": "nanoid", "pattern": "a"}), SCHEMA, "unsupported_format"),
        (form({"format": "email", "pattern": "a", "patternProperties": {}}), SCHEMA, "unsupported_format"),
        (form({"format": "email", "items": {"pattern": "a"}}), SCHEMA, "unsupported_format"),
        (form({"$ref": "https://example.com/s.json"}), SCHEMA, "unsupported_format"),
        (tools({"pattern": "a"}, choice="required"), PARAMETERS, "unsupported_format"),
        (tools({"pattern": "a"}, choice=FORCED), PARAMETERS, "unsupported_format"),
        (tools({"pattern": "a"}, strict=True), PARAMETERS, "unsupported_format"),
        (tools(nested(MAX_SCHEMA_DEPTH + 1)), PARAMETERS, "schema_too_large"),
        (tools(sized(MAX_SCHEMA_BYTES + 1)), PARAMETERS, "schema_too_large"),
        (tools({}, name=""), "tools[0].function.name", None),
        (tools({}, description="x" * 8193), "tools[0].function.description", None),
        (tools("x"), PARAMETERS, None),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type", "unsupported_format"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", None),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * (MAX_TOOLS + 1)}, "tools", None),
        ({"tool_choice": "any"}, "tool_choice", None),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice", None),
        ({"logit_bias": {str(n): 1 for n in range(MAX_BIASES + 1)}}, "logit_bias", None),
        ({"logit_bias": {"a": 1}}, "logit_bias", None),
        ({"logit_bias": {"-1": 1}}, "logit_bias", None),
        ({"logit_bias": {"1": 100.5}}, "logit_bias", None),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias", None),
        ({"temperature": 2.01}, "temperature", None),
        ({"temperature": -0.01}, "temperature", None),
        ({"top_p": 1.01}, "top_p", None),
        ({"top_p": -0.01}, "top_p", None),
        ({"presence_penalty": 2.01}, "presence_penalty", None),
        ({"presence_penalty": -2.01}, "presence_penalty", None),
        ({"frequency_penalty": 2.01}, "frequency_penalty", None),
        ({"frequency_penalty": -2.01}, "frequency_penalty", None),
        ({"top_logprobs": -1}, "top_logprobs", None),
        ({"n": 0}, "n", None),
        ({"reasoning_effort": "e" * 33}, "reasoning_effort", None),
        ({"stop": "x" * 1025}, "stop", None),
        ({"metadata": {"k" * 65: "v"}}, "metadata", None),
        ({"metadata": {"k": "v" * 513}}, "metadata", None),
        ({"messages": [{"role": "user", "content": "Hi", "name": "n" * 256}]}, "messages[0].name", None),
        ({"messages": [{"role": "tool", "tool_call_id": "c" * 256}]}, "messages[0].tool_call_id", None),
        ({"messages": [{"role": "assistant", "tool_calls": [{}] * 129}]}, "messages[0].tool_calls", None),
        ({"logit_bias": {"1": -100.5}}, "logit_bias", None),
        ({"seed": 2**63}, "seed", None),
        ({"max_tokens": 2**63}, "max_tokens", None),
        ({"max_completion_tokens": 10**30}, "max_completion_tokens", None),
        ({"n": 17}, "n", None),
        ({"top_logprobs": 21}, "top_logprobs", None),
        ({"stop": ["x" * 1025]}, "stop", None),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", None),
    ],
)  # fmt: skip
def test_beyond_the_bound_it_is_refused_by_name(change: dict[str, Any], param: str, code: str | None) -> None:
    where, why = refusal(change)
    assert (where or "").startswith(param)
    assert why == code


def said(formats: list[str]) -> dict[str, Any]:
    """The schema that Zod 4 makes of an object with such texts; its patterns are longer."""
    texts = {form: {"type": "string", "format": form, "pattern": f"^{form}$"} for form in formats}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            **texts,
            "pattern": {"type": "string"},
            "format": {"enum": [{"format": "date", "pattern": "x"}]},
        },
        "items": [{"anyOf": [{"format": formats[0], "pattern": "a"}, {"type": "null"}]}],
    }


@pytest.mark.parametrize("grammars", [True, False])
def test_a_pattern_beside_the_format_that_says_it_does_not_reach_the_engine(grammars: bool) -> None:
    formats = ["email", "uuid", "date-time", "date", "time", "duration", "ipv4", "ipv6", "uri"]
    schema = said(formats)
    whole = said(formats)
    for request in (form(schema), tools(schema, choice="required"), tools(schema, strict=True)):
        decoded = decode(request, grammars=grammars)
        asked = decoded.response_format or {}
        found = asked["json_schema"]["schema"] if asked else (decoded.tools or [])[0]["function"]["parameters"]
        if grammars:
            assert found == whole
            continue
        assert found["properties"] == {form: {"type": "string", "format": form} for form in formats} | {
            "pattern": {"type": "string"},
            "format": {"enum": [{"format": "date", "pattern": "x"}]},
        }
        assert found["items"] == [{"anyOf": [{"format": "email"}, {"type": "null"}]}]
    shown = decode(tools(schema, choice="auto")).tools or []
    assert shown[0]["function"]["parameters"] == whole, "what is only shown to the model stays as it is"


def test_the_operator_may_allow_grammars() -> None:
    tags = {"type": "structural_tag", "structures": [], "triggers": []}
    assert decode({"response_format": tags}, grammars=True).response_format == tags
    decode(form({"pattern": "a+"}), grammars=True)
    assert refusal(form({"maxItems": MAX_REPEATS + 1}), grammars=True) == (SCHEMA, "schema_too_large")
    huge = {"type": "structural_tag", "structures": ["x" * MAX_SCHEMA_BYTES]}
    assert refusal({"response_format": huge}, grammars=True) == ("response_format", "schema_too_large")


def test_only_known_members_reach_an_engine() -> None:
    request = decode(
        {
            **form({"type": "object"}, strict=True, backend="outlines"),
            "tools": [{"type": "function", "function": {"name": "f", "x": 1}, "y": 2}],
        }
    )
    assert request.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True},
    }
    assert request.tools == [{"type": "function", "function": {"name": "f"}}]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["type", "function", "name", "schema", "json_schema", "$ref", "pattern", "properties"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    for field in ("response_format", "tools", "tool_choice", "logit_bias", "metadata", "stop", "seed"):
        try:
            decode({field: value})
        except BadRequest:
            pass


@pytest.mark.parametrize("allowed", [False, True])
async def test_the_setting_reaches_the_route(settings: Settings, engine: FakeVllm, allowed: bool) -> None:
    async with running(settings.model_copy(update={"allow_grammars": allowed})) as gateway:
        client = await gateway.tenant("kestrel")
        body = {**HI, "model": "base", **form({"type": "string", "pattern": "a+"})}
        answer = await client.post(CHAT, json=body)
    assert answer.status_code == (200 if allowed else 400), answer.text
