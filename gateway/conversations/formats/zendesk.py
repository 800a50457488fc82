"""Zendesk's tickets with their comments, as its export and its API have them."""

from collections.abc import Iterator

from gateway.conversations.conversation import Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, read_records
from gateway.conversations.threads import Post, Side, Thread, choose_text, read_threads

__all__ = ["read_zendesk"]

_AGENTS = ("agent", "admin")


def read_zendesk(text: str) -> Import:
    """Read tickets with `comments`; a ticket alone has its `description`, which nobody answers.

    A comment is the customer's where its author is the ticket's requester, or is an end user by the `users` beside the
    tickets; any other one is an agent's. `public: false` is an internal note.
    """
    records, problems = read_records(text, ("tickets", "results", "requests"))
    return read_threads(records, problems, _to_thread)


def _to_thread(number: int, ticket: Record) -> Thread:
    ticket = {**ticket, **as_dict(ticket.get("ticket"))}
    roles = {as_text(user.get("id")): as_text(user.get("role")) for user in _list_users(ticket)}
    requester = as_text(ticket.get("requester_id")) or as_text(as_dict(ticket.get("requester")).get("id"))
    comments = [_to_post(as_dict(comment), requester, roles) for comment in as_list(ticket.get("comments"))]
    if not comments:
        comments = [Post("user", as_text(ticket.get("description")))]
    return Thread(number, as_text(ticket.get("id")), comments)


def _list_users(ticket: Record) -> Iterator[Record]:
    for user in (*as_list(ticket.get("users")), *(ticket.get(name) for name in ("requester", "submitter", "assignee"))):
        yield as_dict(user)


def _to_post(comment: Record, requester: str, roles: dict[str, str]) -> Post:
    author = as_dict(comment.get("author"))
    id = as_text(comment.get("author_id")) or as_text(author.get("id"))
    role = roles.get(id) or as_text(author.get("role"))
    customer = id == requester if not role or role in _AGENTS else True
    side: Side = "user" if customer else "assistant"
    plain = as_text(comment.get("plain_body")) or as_text(comment.get("body"))
    text = choose_text(plain, as_text(comment.get("html_body")))
    return Post(side, text, id, as_text(comment.get("created_at")), internal=comment.get("public") is False)
