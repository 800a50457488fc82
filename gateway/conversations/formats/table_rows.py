"""Rows of a table as conversations: a pair per row, or a message per row."""

from collections.abc import Iterable, Mapping
from typing import Literal

from gateway.conversations.conversation import Conversation, Import
from training.dataset import Message, Problem

__all__ = ["join_rows", "pair_rows"]

_Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, _Role] = {
    **dict.fromkeys(("user", "human", "customer", "client", "requester", "end-user", "end_user", "contact"), "user"),
    **dict.fromkeys(("assistant", "agent", "gpt", "admin", "support", "operator", "staff", "bot"), "assistant"),
    "system": "system",
}

Row = tuple[int, Mapping[str, str]]


def pair_rows(rows: Iterable[Row]) -> Import:
    """Make a conversation of each row with `question` and `reply`, perhaps `system` and `conversation`."""
    conversations: list[Conversation] = []
    problems: list[Problem] = []
    for number, row in rows:
        if not row["question"].strip():
            problems.append(Problem(number, "It has no question."))
        elif not row["reply"].strip():
            problems.append(Problem(number, "It has no final reply, so there is nothing to learn."))
        else:
            messages = [Message("user", row["question"]), Message("assistant", row["reply"])]
            if row.get("system", "").strip():
                messages.insert(0, Message("system", row["system"]))
            conversations.append(Conversation(number, messages, row.get("conversation", "")))
    return Import(conversations, problems, {})


def join_rows(rows: Iterable[Row], lacking: Iterable[str] = ()) -> Import:
    """Make conversations of rows with `conversation`, `role` and `text`; each has the number of its first row.

    Those that are `lacking` a row are problems, and so are those with a row of an unknown role: what follows would
    answer something else.
    """
    threads: dict[str, tuple[int, list[Message]]] = {}
    problems: list[Problem] = []
    incomplete = {*lacking}
    for number, row in rows:
        role = _ROLES.get(row["role"].strip().casefold())
        if role is None:
            role_names = ", ".join(_ROLES)
            problems.append(
                Problem(number, f"It has the role {row['role']!r}, and only these are known: {role_names}.")
            )
            incomplete.add(row["conversation"])
        elif not row["conversation"].strip():
            problems.append(Problem(number, "It says no conversation, so nothing tells which messages it belongs to."))
        elif row["text"].strip():
            _, messages = threads.setdefault(row["conversation"], (number, []))
            if messages and messages[-1].role == role:
                messages.append(Message(role, f"{messages.pop().text}\n\n{row['text']}"))
            else:
                messages.append(Message(role, row["text"]))
    conversations: list[Conversation] = []
    for id, (number, messages) in threads.items():
        while messages and messages[-1].role != "assistant":
            messages.pop()
        if id in incomplete:
            problems.append(Problem(number, f"The conversation {id!r} has a row that can't be read, and isn't whole."))
        elif any(message.role == "user" for message in messages):
            conversations.append(Conversation(number, messages, id))
        else:
            problems.append(Problem(number, f"The conversation {id!r} has no question with a reply."))
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), {})
