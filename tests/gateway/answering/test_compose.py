import json
from typing import Any

import pytest

import prompts
from gateway.answering.compose import compose
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.engines import EnginePool
from gateway.engines.client import make_cache_salt
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest
from prompts.default import DEFAULT
from tests.fakes.passages import make_passage

COUNTER = TokenCounter(EnginePool([]))  # messages that go on as they are need no counting


HOUSE = prompts.compile(DEFAULT)


class Counter(TokenCounter):
    """Counts a token for each word, within a context of so many tokens."""

    def __init__(self, context: int) -> None:
        super().__init__(EnginePool([]))
        self._context = context

    @property
    def context(self) -> int:
        return self._context

    async def count(self, texts: Any) -> list[int]:
        return [len(text.split()) for text in texts]


async def body_of(*messages: Message, target: Target | None = None, stream: bool = False, **parameters: Any) -> Any:
    question = Question("answer-1", "base", messages or [Message("user", "Hi")], parameters, stream=stream)
    return json.loads((await compose(question, target or Target("base"), NO_EVIDENCE, "kestrel", COUNTER)).body)


async def test_without_a_prompt_the_messages_go_on_as_they_are() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "price", "arguments": "{}"}}]
    body = await body_of(
        Message("system", "Be brief."),
        Message("user", "How much?", name="ann"),
        Message("assistant", None, tool_calls=calls),
        Message("tool", "89", tool_call_id="call_1"),
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How much?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "89", "tool_call_id": "call_1"},
    ]


async def test_behind_a_prompt_turns_keep_their_names_and_calls() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "price", "arguments": "{}"}}]
    turns = [
        Message("user", "How much?", name="ann"),
        Message("assistant", None, tool_calls=calls),
        Message("tool", "89", tool_call_id="call_1"),
        Message("assistant", "89."),
        Message("user", "And now?"),
    ]
    question = Question("answer-1", "base", turns, {})
    composed = await compose(question, Target("base", prompt=HOUSE), NO_EVIDENCE, "kestrel", Counter(4096))
    sent = json.loads(composed.body)["messages"][-5:]
    assert [message.get("name") for message in sent] == ["ann", None, None, None, None]
    assert [message.get("tool_calls") for message in sent] == [None, calls, None, None, None]
    assert [message.get("tool_call_id") for message in sent] == [None, None, "call_1", None, None]
    assert set(sent[3]) == {"role", "content"}


async def test_a_clients_parameters_win_over_the_releases() -> None:
    target = Target("base", sampling={"temperature": 0.2, "top_p": 0.9})
    body = await body_of(target=target, temperature=0.7)
    assert (body["temperature"], body["top_p"]) == (0.7, 0.9)


@pytest.mark.parametrize(("n", "temperature"), [(1, 0), (2, 0.01)])
async def test_several_choices_are_never_greedy(n: int, temperature: float) -> None:
    assert (await body_of(n=n, temperature=0))["temperature"] == temperature


@pytest.mark.parametrize("release", [True, False])
async def test_a_top_p_of_nothing_is_the_likeliest_token_alone(release: bool) -> None:
    body = await body_of(target=Target("base", sampling={"top_p": 0})) if release else await body_of(top_p=0)
    assert 0 < body["top_p"] < 0.001


async def test_a_stream_always_asks_for_its_usage() -> None:
    assert (await body_of(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream" not in await body_of()


async def test_the_salt_is_the_tenants_own() -> None:
    assert (await body_of())["cache_salt"] == make_cache_salt("kestrel") != make_cache_salt("harbor")


async def test_what_the_adapter_was_trained_with_goes_to_the_chat_template() -> None:
    target = Target("base", chat_template_kwargs={"enable_thinking": False})
    assert (await body_of(target=target))["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in await body_of()


async def test_a_base_without_a_place_for_it_gets_the_system_text_with_the_first_question() -> None:
    messages = [Message("system", "Be brief."), Message("user", "How much?")]
    question = Question("answer-1", "base", messages, {})
    composed = await compose(question, Target("base"), NO_EVIDENCE, "kestrel", COUNTER, folds_system=True)
    (message,) = json.loads(composed.body)["messages"]
    assert message["role"] == "user"
    assert message["content"].startswith("Be brief.")
    assert message["content"].endswith("How much?")


@pytest.mark.parametrize("messages", [[Message("system", "Be brief.")], [Message("assistant", "Hello.")]])
async def test_a_prompt_without_a_question_is_refused(messages: list[Message]) -> None:
    question = Question("answer-1", "base", messages, {})
    with pytest.raises(BadRequest) as caught:
        await compose(question, Target("base", prompt=HOUSE), NO_EVIDENCE, "kestrel", Counter(4096))
    assert (caught.value.param, caught.value.code) == ("messages", "invalid_prompt")


@pytest.mark.parametrize(
    ("own", "of_release", "context", "reserved"),
    [
        (None, None, 8192, 1024),
        (None, None, 4096, 1024),
        (None, None, 4092, 1023),  # a quarter
        (None, 300, 4096, 300),
        (200, 300, 4096, 200),
        (2000, None, 4096, 2000),
        (3000, None, 4096, 2048),  # a half
        (None, 9000, 4096, 2048),
    ],
)
async def test_room_for_the_answer_is_kept_in_the_context(
    monkeypatch: pytest.MonkeyPatch, own: int | None, of_release: int | None, context: int, reserved: int
) -> None:
    budgets: list[int] = []

    async def measure(draft: prompts.Draft, budget: int, _counter: TokenCounter) -> list[int]:
        budgets.append(budget)
        return [0] * len(draft.segments)

    monkeypatch.setattr("gateway.answering.compose.measure_segments", measure)
    parameters = {} if own is None else {"max_tokens": own}
    sampling = None if of_release is None else {"max_tokens": of_release}
    question = Question("answer-1", "base", [Message("user", "Hi")], parameters)
    await compose(question, Target("base", prompt=HOUSE, sampling=sampling), NO_EVIDENCE, "kestrel", Counter(context))
    assert budgets == [context - 16 - reserved]


async def test_a_question_beyond_the_context_is_refused_with_its_size() -> None:
    question = Question("answer-1", "base", [Message("user", "word " * 500)], {})
    with pytest.raises(BadRequest, match="maximum context length is 400 tokens") as caught:
        await compose(question, Target("base", prompt=HOUSE), NO_EVIDENCE, "kestrel", Counter(400))
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize("found", [True, False])
async def test_the_words_for_no_passages_are_counted_only_where_there_are_none(found: bool) -> None:
    evidence = Evidence("found", (make_passage("vs", 1, "It is 31 months."),)) if found else Evidence("nothing_found")
    question = Question("answer-1", "base", [Message("user", "How long?")], {})
    composed = await compose(question, Target("base", prompt=HOUSE), evidence, "kestrel", Counter(4096))
    sent = json.dumps(json.loads(composed.body)["messages"], ensure_ascii=False)
    missing = [
        segment.text for segment in composed.segments if json.dumps(segment.text, ensure_ascii=False)[1:-1] not in sent
    ]
    assert missing == []
    assert any("31 months" in segment.text for segment in composed.segments) is found


async def test_an_engine_gets_no_field_that_nobody_asked_for() -> None:
    question = Question("answer-1", "base", [Message("user", "Hi")], {"temperature": 1.0}, stream=True)
    body = json.loads((await compose(question, Target("base"), NO_EVIDENCE, "kestrel", COUNTER)).body)
    assert set(body) == {"model", "messages", "temperature", "stream", "stream_options", "cache_salt"}
