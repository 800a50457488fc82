"""The prompts of a comparison: from the request, rows of a file, or a run of an eval; and as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.evaluation.even_sample import thin_out
from training.dataset import Message, describe_problems, read_rows
from training.preference_rows import has_preferences, read_preference_rows

__all__ = ["PromptMessages", "choose_rows", "decode_prompts", "encode_prompts", "read_file_prompts", "to_prompts"]

PromptMessages = list[dict[str, str]]
"""A conversation of roles and texts that ends with a user's message."""

_MOST_DESCRIBED = 10
_decoder = msgspec.json.Decoder(list[PromptMessages])


def encode_prompts(prompts: Sequence[PromptMessages]) -> bytes:
    return msgspec.json.encode(prompts)


def decode_prompts(data: bytes) -> list[PromptMessages]:
    return _decoder.decode(data)


def read_file_prompts(data: bytes, filename: str) -> list[PromptMessages]:
    """Read what was asked in rows of a training file, of chats or of preferences: all but the replies at the end.

    Raises:
        BadRequest: It isn't such a file.
    """
    if has_preferences(data):
        preferences, problems = read_preference_rows(data)
        rows = [row.better for row in preferences]
    else:
        rows, problems = read_rows(data)
    if problems:
        raise BadRequest(
            f"{filename} isn't a file of rows. {describe_problems(problems, _MOST_DESCRIBED)}",
            param="file_id",
            code="invalid_rows",
        )
    return [
        prompt
        for row in rows
        if row.messages[-1].is_target and (prompt := _to_prompt(row.messages[:-1]))[-1]["role"] == "user"
    ]


def to_prompts(inputs: Sequence[Sequence[Mapping[str, Any]]]) -> list[PromptMessages]:
    """Return of some conversations those that can be asked anew: of texts alone, with a question at the end."""
    prompts: list[PromptMessages] = []
    for messages in inputs:
        roles = {message["role"] for message in messages}
        if messages and messages[-1]["role"] == "user" and roles <= {"system", "developer", "user", "assistant"}:
            prompts.append([{"role": message["role"], "content": str(message["content"])} for message in messages])
    return prompts


def choose_rows(prompts: Sequence[PromptMessages], most: int) -> list[PromptMessages]:
    """Return all different prompts; of more than `most`, evenly spaced ones."""
    return thin_out(list({msgspec.json.encode(prompt): prompt for prompt in prompts}.values()), most)


def _to_prompt(messages: Sequence[Message]) -> PromptMessages:
    return [{"role": message.role, "content": message.text} for message in messages]
