"""Gemini's rows, as Vertex AI tunes with them: `contents` of roles and parts, and two `completions` of a preference."""

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.preferences import read_pair
from gateway.conversations.formats.turns import UnusableRecord, add_system, read_each, read_turns, trim_turns
from gateway.conversations.records import Record, as_dict, as_list, as_text
from training.dataset import Message

__all__ = ["read_gemini"]


def read_gemini(text: str) -> Import:
    """Read `contents`, perhaps with `systemInstruction`, or `completions` with a `score` each for a preference.

    A turn is `{"role": "user" or "model", "parts": [{"text": …}]}`, and a completion `{"score": 0 or 1, "completion": a
    turn}`: of two with different scores the higher one is the better reply.
    """
    return read_each(text, _read_record)


def _read_record(number: int, record: Record) -> Conversation:
    # A turn without a role is the user's, as in the API.
    turns = [{"role": "user", **as_dict(turn)} for turn in as_list(record.get("contents"))]
    messages = add_system(record, read_turns(turns, "user"), "systemInstruction", "system_instruction")
    if not record.get("completions"):
        return Conversation(number, trim_turns(messages), as_text(record.get("id")))
    replies = [_read_completion(as_dict(one)) for one in as_list(record["completions"])]
    if len(replies) != 2 or replies[0][0] == replies[1][0]:
        raise UnusableRecord("Its `completions` aren't two with different scores, so nothing is preferred.")
    (_, worse), (_, better) = sorted(replies, key=lambda reply: reply[0])
    return read_pair(number, as_text(record.get("id")), messages, better, worse)


def _read_completion(one: Record) -> tuple[float, list[Message]]:
    score = one.get("score")
    turn = {"role": "model", **as_dict(one.get("completion"))}
    return score if isinstance(score, int | float) else 0.0, read_turns(turn, "assistant")
