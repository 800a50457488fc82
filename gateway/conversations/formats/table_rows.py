"""Rows of a table as conversations: a pair per row, or a message per row."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.records import as_time
from gateway.conversations.threads import NOTES
from training.dataset import Message, Problem

__all__ = ["join_rows", "pair_rows"]

_Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, _Role] = {
    **dict.fromkeys(
        (
            "user human customer client requester end-user contact visitor lead guest consumer kunde kundin nutzer "
            "benutzer cliente usuario utilisateur"
        ).split(),
        "user",
    ),
    **dict.fromkeys(
        (
            "assistant agent gpt admin support support-agent operator staff team teammate representative bot agentin "
            "mitarbeiter mitarbeiterin assistent agente asistente conseiller"
        ).split(),
        "assistant",
    ),
    "system": "system",
}

_SEPARATOR = re.compile(r"[ _]+")
_YES = ("true", "1", "1.0", "yes", "y", "t", "x", "ja", "wahr", "oui", "vrai", "sí", "si", "verdadero")
_NO = ("false", "0", "0.0", "no", "n", "f", "nein", "falsch", "non", "faux", "falso")
_INTERNAL, _PUBLIC = ("internal", "private", "intern", "interne"), ("external", "public", "extern", "öffentlich")

Row = tuple[int, Mapping[str, str]]
_Post = tuple[float | None, int, _Role, str]
"""A message's time, row, role and text."""


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


def join_rows(rows: Iterable[Row], lacking: Iterable[str] = (), *, is_timed: bool = False) -> Import:
    """Make conversations of rows with `conversation`, `role` and `text`; each has the number of its first row.

    Those that are `lacking` a row are problems, and so are those with a row of an unknown role: what follows would
    answer something else. Internal notes are left out. Messages are in the order of their `time`, if that of each in a
    conversation can be read, and else in the file's; where it `is_timed`, one that can't is a problem.
    """
    threads: dict[str, list[_Post]] = {}
    problems: list[Problem] = []
    incomplete = {*lacking}
    notes = 0
    for number, row in rows:
        is_internal = _is_internal(row)
        if is_internal:
            notes += 1
            continue
        role = _ROLES.get(_SEPARATOR.sub("-", row["role"].strip().casefold()))
        time = as_time(row.get("time"))
        if role is None:
            role_names = ", ".join(_ROLES)
            problems.append(
                Problem(number, f"It has the role {row['role']!r}, and only these are known: {role_names}.")
            )
            incomplete.add(row["conversation"])
        elif not row["conversation"].strip():
            problems.append(Problem(number, "It says no conversation, so nothing tells which messages it belongs to."))
        elif is_internal is None:
            cells = " and ".join(repr(row[name]) for name in ("internal", "public") if row.get(name))
            problems.append(Problem(number, f"Whether it is a note can't be read from {cells}. Write 0 or 1."))
            incomplete.add(row["conversation"])
        elif is_timed and time is None:
            problems.append(Problem(number, f"Its time {row['time']!r} can't be read. Write it as 2026-01-31 10:00."))
            incomplete.add(row["conversation"])
        elif row["text"].strip():
            threads.setdefault(row["conversation"], []).append((time, number, role, row["text"]))
    return _to_import(threads, incomplete, problems, {NOTES: notes} if notes else {})


def _to_import(
    threads: Mapping[str, Sequence[_Post]], incomplete: Container[str], problems: list[Problem], omitted: dict[str, int]
) -> Import:
    conversations: list[Conversation] = []
    for id, posts in threads.items():
        number = posts[0][1]
        messages = _join(posts)
        while messages and messages[-1].role != "assistant":
            messages.pop()
        if id in incomplete:
            problems.append(Problem(number, f"The conversation {id!r} has a row that can't be read, and isn't whole."))
        elif any(message.role == "user" for message in messages):
            conversations.append(Conversation(number, messages, id))
        else:
            problems.append(Problem(number, f"The conversation {id!r} has no question with a reply."))
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), omitted)


def _is_internal(row: Mapping[str, str]) -> bool | None:
    """Tell whether only agents see a message, by what a table says of it; None where that can't be read."""
    internal, public = (row.get(name, "").strip().casefold() for name in ("internal", "public"))
    if internal in (*_YES, *_INTERNAL) or public in (*_NO, *_INTERNAL):
        return True
    return False if internal in ("", *_NO, *_PUBLIC) and public in ("", *_YES, *_PUBLIC) else None


def _join(posts: Sequence[_Post]) -> list[Message]:
    is_timed = all(time is not None for time, _, _, _ in posts)
    messages: list[Message] = []
    for _, _, role, text in sorted(posts, key=lambda post: post[0] or 0.0) if is_timed else posts:
        if messages and messages[-1].role == role:
            messages.append(Message(role, f"{messages.pop().text}\n\n{text}"))
        else:
            messages.append(Message(role, text))
    return messages
