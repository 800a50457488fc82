"""Answers of hosted fine-tuned models in an export, with the conversations that they answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gateway.openai_import.export_folder import ExportFolder, read_list, read_member

__all__ = ["HostedOutput", "find_outputs"]

_ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class HostedOutput:
    """An answer in text of a hosted model, and the messages before it."""

    model: str
    messages: list[dict[str, str]]
    text: str


def find_outputs(export: ExportFolder) -> dict[str, list[HostedOutput]]:
    """Return an export's answers by hosted model: stored chat completions, and the samples of evals' output items.

    Of answers to one conversation the first is taken; those with images, tools or no text are left out.
    """
    outputs: dict[str, dict[str, HostedOutput]] = {}
    for one in (*_read_completions(export), *_read_items(export)):
        if one.model.startswith("ft:"):
            outputs.setdefault(one.model, {}).setdefault(repr(one.messages), one)
    return {model: list(answers.values()) for model, answers in outputs.items()}


def _read_completions(export: ExportFolder) -> Iterator[HostedOutput]:
    for id, completion in export.of("chat.completion").items():
        choices = read_list(completion, "choices") or [{}]
        text = read_member(choices[0], "message").get("content")
        request = read_list(completion, "messages") or read_list(completion, "input") or export.messages.get(id) or []
        yield from _make(str(completion.get("model")), request, text)


def _read_items(export: ExportFolder) -> Iterator[HostedOutput]:
    for item in export.of("eval.run.output_item").values():
        sample = read_member(item, "sample")
        output = read_list(sample, "output") or [{}]
        yield from _make(str(sample.get("model")), read_list(sample, "input"), output[-1].get("content"))


def _make(model: str, request: Sequence[Mapping[str, Any]], text: Any) -> Iterator[HostedOutput]:
    messages = [_read_message(one) for one in request]
    whole = [one for one in messages if one is not None]
    if isinstance(text, str) and text.strip() and len(whole) == len(messages) and whole and whole[-1]["role"] == "user":
        yield HostedOutput(model, whole, text)


def _read_message(message: Mapping[str, Any]) -> dict[str, str] | None:
    """Return a message as text; None where it is more than that."""
    role, content = message.get("role"), message.get("content")
    if content is None and message.get("content_parts"):
        content = message["content_parts"]
    if isinstance(content, list):
        texts = [_read_part(part) for part in cast("list[object]", content)]
        if None in texts:
            return None
        content = "\n".join(cast("list[str]", texts))
    if role not in _ROLES or not isinstance(content, str) or message.get("tool_calls"):
        return None
    return {"role": "system" if role == "developer" else role, "content": content}


def _read_part(part: object) -> str | None:
    """Return the text of a part, which evals may have as it is; None where it is something else."""
    if isinstance(part, str):
        return part
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}
    return str(fields.get("text") or "") if fields.get("type") in ("text", "input_text", "output_text") else None
