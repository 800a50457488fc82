"""Zendesk's tickets with their comments, as its export and its API have them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gateway.conversations.conversation import Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, as_time, read_records
from gateway.conversations.threads import Post, Side, Thread, choose_text, read_threads

__all__ = ["read_zendesk"]

_SIDES: Mapping[str, Side] = {"agent": "assistant", "admin": "assistant", "end-user": "user", "end_user": "user"}
_COPIES = ("collaborator_ids", "email_cc_ids")
_SYSTEM = "-1"
"""The author of what Zendesk itself writes."""
_AUTOMATED = ("rule", "answer_bot", "answer_bot_for_web_widget")
"""Channels by which triggers, automations and bots write, perhaps in an agent's name."""

_MERGED = re.compile(
    r"(?s)Requests? #.{1,400}? (?:was|were) closed and merged into this request"
    r"|This request was closed and merged into request #"
)
"""The words that Zendesk puts into both tickets, in its agents' names, when they are merged."""


def read_zendesk(text: str) -> Import:
    """Read tickets with `comments`; a ticket alone has its `description`, which nobody answers.

    A comment is its ticket's requester's, and else of whom the file says so anywhere: by a role, of `users` beside the
    tickets or in a comment, or for an agent by a private comment, by a ticket that is assigned to them, or by one that
    they submitted for somebody else. Who is the only one beside a requester replies to them. `public: false` is an
    internal note. What rules and bots wrote and records of
    calls and of merged tickets are nobody's words, in whoever's name Zendesk writes them.
    """
    records, problems = read_records(text, ("tickets", "results", "requests"))
    tickets = [(number, {**ticket, **as_dict(ticket.get("ticket"))}) for number, ticket in records]
    sides = dict(_find_repliers([ticket for _, ticket in tickets]))
    sides.update(_find_agents(ticket for _, ticket in tickets))
    pages = {id(users): users for _, ticket in tickets if (users := as_list(ticket.get("users")))}
    for people in (*pages.values(), *(_list_people(ticket) for _, ticket in tickets)):
        sides.update(_find_roles(people))
    return read_threads(tickets, problems, partial(_to_thread, sides=sides))


def _to_thread(number: int, ticket: Record, sides: Mapping[str, Side]) -> Thread:
    requester = _find_id(ticket, "requester")
    comments = [_to_post(as_dict(comment), requester, sides) for comment in as_list(ticket.get("comments"))]
    if not comments:
        comments = [Post("user", as_text(ticket.get("description")))]
    return Thread(number, as_text(ticket.get("id")), comments)


def _find_repliers(tickets: Sequence[Record]) -> Iterator[tuple[str, Side]]:
    """Yield who is the only one beside a ticket's requester, where the ticket names who else has to do with it.

    Those in copy, and whoever asks in another ticket, may be a customer's colleagues.
    """
    others = {_find_id(ticket, "requester") for ticket in tickets} | {_SYSTEM, ""}
    for ticket in tickets:
        others.update(as_text(id) for name in _COPIES for id in as_list(ticket.get(name)))
    for ticket in tickets:
        requester = _find_id(ticket, "requester")
        authors = {_find_id(as_dict(one), "author") for one in as_list(ticket.get("comments"))} - {_SYSTEM, ""}
        names_people = not ticket.keys().isdisjoint(("submitter_id", *_COPIES))
        if names_people and requester in authors and len(authors) == 2:
            for id in authors - others:
                yield id, "assistant"


def _find_agents(tickets: Iterable[Record]) -> Iterator[tuple[str, Side]]:
    """Yield those who do what only agents can."""
    for ticket in tickets:
        requester = _find_id(ticket, "requester")
        comments = map(as_dict, as_list(ticket.get("comments")))
        notes = (_find_id(comment, "author") for comment in comments if comment.get("public") is False)
        for id in (_find_id(ticket, "assignee"), _find_id(ticket, "submitter"), *notes):
            if id and id != requester:
                yield id, "assistant"


def _list_people(ticket: Record) -> list[Any]:
    """Return who is shown in a ticket, besides the `users`, which a whole page of tickets shares."""
    authors = [as_dict(comment).get("author") for comment in as_list(ticket.get("comments"))]
    return [*(ticket.get(name) for name in ("requester", "submitter", "assignee")), *authors]


def _find_roles(people: Iterable[Any]) -> Iterator[tuple[str, Side]]:
    for one in map(as_dict, people):
        if (side := _SIDES.get(as_text(one.get("role")))) is not None:
            yield as_text(one.get("id")), side


def _find_id(record: Record, name: str) -> str:
    return as_text(record.get(f"{name}_id")) or as_text(as_dict(record.get(name)).get("id"))


def _to_post(comment: Record, requester: str, sides: Mapping[str, Side]) -> Post:
    author = _find_id(comment, "author")
    side: Side | None = "user" if author and author == requester else sides.get(author, "unknown")
    text = choose_text(as_text(comment.get("plain_body")), as_text(comment.get("html_body")))
    text = text or as_text(comment.get("body"))  # Markdown, with the links of pictures
    by_rule = as_text(as_dict(comment.get("via")).get("channel")) in _AUTOMATED
    if author == _SYSTEM or by_rule or comment.get("type") == "VoiceComment" or _MERGED.match(text):
        side = None
    return Post(side, text, author, as_time(comment.get("created_at")), internal=comment.get("public") is False)
