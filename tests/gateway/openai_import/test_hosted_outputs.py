"""Answers of hosted models in an export: which can be asked again, and with what messages."""

from typing import Any

import pytest

from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.hosted_outputs import find_outputs

MODEL = "ft:gpt-4o-mini:acme:voice:AbC"
ASKED: list[Any] = [{"role": "user", "content": "Where is it?"}]


def export_of(
    *completions: dict[str, Any], items: tuple[dict[str, Any], ...] = (), messages: dict[str, Any] | None = None
) -> ExportFolder:
    records = {
        "chat.completion": {one["id"]: one for one in completions},
        "eval.run.output_item": {str(number): {"sample": one} for number, one in enumerate(items)},
    }
    return ExportFolder(records, {}, {}, messages or {})


def completion(request: Any = ASKED, text: Any = "There.", **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": MODEL, "messages": request, "choices": [{"message": {"content": text}}], **more}


def sample(request: Any = ASKED, *texts: Any, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": request, "output": [{"content": text} for text in texts or ("There.",)], **more}


def asked_again(export: ExportFolder) -> list[tuple[list[dict[str, str]], str]]:
    return [(one.messages, one.text) for one in find_outputs(export).get(MODEL, [])]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Why?", "Why?"),
        ([{"type": "text", "text": "Why?"}], "Why?"),
        ([{"type": "input_text", "text": "Why"}, {"type": "output_text", "text": "now?"}], "Why\nnow?"),
        (["Why", {"type": "input_text", "text": "now?"}], "Why\nnow?"),
        ([{"type": "text", "text": None}, {"type": "text"}], "\n"),
        ([{"type": "image_url", "image_url": {"url": "x"}}], None),
        (["Why?", {"type": "input_image"}], None),
        ([None], None),
        ([7], None),
        (None, None),
        ({"type": "text", "text": "Why?"}, None),
    ],
)
@pytest.mark.parametrize("place", ["completion", "item"])
def test_messages_of_text_alone_are_asked_again(content: Any, text: str | None, place: str) -> None:
    request = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": content}]
    export = export_of(completion(request)) if place == "completion" else export_of(items=(sample(request),))
    expected = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text or ""}]
    assert asked_again(export) == ([] if text is None else [(expected, "There.")])


@pytest.mark.parametrize(
    "request_",
    [
        [],
        [{"role": "assistant", "content": "Hi"}],
        [*ASKED, {"role": "assistant", "content": "There."}],
        [{"role": "tool", "content": "x"}, *ASKED],
        [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}, *ASKED],
        "Where is it?",
    ],
)
def test_what_does_not_end_with_a_users_text_is_left_out(request_: Any) -> None:
    assert asked_again(export_of(completion(request_))) == []


@pytest.mark.parametrize("text", [None, "", " \n", ["There."], 7])
def test_an_answer_without_text_shows_no_style(text: Any) -> None:
    assert asked_again(export_of(completion(text=text))) == []
    assert asked_again(export_of(items=(sample(ASKED, text),))) == []


def test_a_stored_answers_messages_stand_with_it_or_in_a_file_of_their_own() -> None:
    other = [{"role": "user", "content": "When?"}]
    own = completion(input=other)
    assert asked_again(export_of(own, messages={"c1": other})) == [(ASKED, "There.")]
    assert asked_again(export_of(own | {"messages": []}, messages={"c1": ASKED})) == [(other, "There.")]
    assert asked_again(export_of(completion(None), messages={"c1": other})) == [(other, "There.")]
    parts = [{"role": "user", "content": None, "content_parts": [{"type": "text", "text": "How?"}]}]
    assert asked_again(export_of(completion(parts)))[0][0] == [{"role": "user", "content": "How?"}]


def test_the_first_answer_to_a_conversation_and_the_last_text_of_an_item_count() -> None:
    export = export_of(
        completion(text="First."),
        completion(text="Second.") | {"id": "c2"},
        items=(sample(ASKED, "Third."), sample([{"role": "user", "content": "Then?"}], "draft", "Last.")),
    )
    assert [text for _, text in asked_again(export)] == ["First.", "Last."]


@pytest.mark.parametrize("model", ["gpt-4o-mini", None, "x:ft:"])
def test_answers_of_other_models_than_fine_tuned_ones_are_not_compared(model: Any) -> None:
    assert find_outputs(export_of(completion(model=model), items=(sample(model=model),))) == {}


def test_answers_without_any_choice_are_no_fault() -> None:
    assert find_outputs(export_of(completion(choices=[]), items=(sample(output=None), {}))) == {}
