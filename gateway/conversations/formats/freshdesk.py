"""Freshdesk's tickets with their conversations, as its API and its older exports have them."""

from gateway.conversations.conversation import Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, as_time, read_records
from gateway.conversations.threads import Post, Side, Thread, choose_text, read_threads

__all__ = ["read_freshdesk"]


def read_freshdesk(text: str) -> Import:
    """Read tickets with `description` and `conversations`; exports of version 1 have `helpdesk_ticket` and `notes`.

    `incoming` messages are the customer's, those with `incoming: false` an agent's, `private` ones internal; where a
    message doesn't say, the ticket's requester is the customer. A text is taken as it is given
    (`description_text`, `body_text`), else that of the HTML.
    """
    records, problems = read_records(text, ("tickets", "results"))
    return read_threads(records, problems, _to_thread)


def _to_thread(number: int, record: Record) -> Thread:
    ticket = as_dict(record.get("helpdesk_ticket")) or record
    question = choose_text(as_text(ticket.get("description_text")), as_text(ticket.get("description")))
    replies = as_list(ticket.get("conversations")) or [
        as_dict(one).get("note") or one for one in as_list(ticket.get("notes"))
    ]
    first = Post("user", question, as_text(ticket.get("requester_id")))  # without a time, and so the first
    id = as_text(ticket.get("id")) or as_text(ticket.get("display_id"))
    return Thread(number, id, [first, *(_to_post(as_dict(reply), first.author) for reply in replies)])


def _to_post(reply: Record, requester: str) -> Post:
    text = choose_text(as_text(reply.get("body_text")), as_text(reply.get("body")))
    author, time = as_text(reply.get("user_id")), as_time(reply.get("created_at"))
    side: Side = "user" if author and author == requester else "unknown"
    if isinstance(incoming := reply.get("incoming"), bool):
        side = "user" if incoming else "assistant"
    return Post(side, text, author, time, internal=reply.get("private") is True)
