"""Freshdesk's tickets with their conversations, as its API and its older exports have them."""

from gateway.conversations.conversation import Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, as_time, read_records
from gateway.conversations.threads import Post, Side, Thread, choose_text, read_threads

__all__ = ["read_freshdesk"]

_SURVEY, _FORWARDED = 6, 8
"""The `source` of a customer's rating, and of a mail that an agent forwarded to somebody else."""
_OUTBOUND = 10
"""The `source` of a ticket that an agent began by a mail."""


def read_freshdesk(text: str) -> Import:
    """Read tickets with `description` and `conversations`; exports of version 1 have `helpdesk_ticket` and `notes`.

    `incoming` messages are the customer's, those with `incoming: false` an agent's, `private` ones internal; where a
    message doesn't say, the ticket's requester is the customer. The first message is an agent's where the team wrote
    to the customer. Ratings, mails that were forwarded to others, and what an automation wrote are nobody's words in
    this conversation. A text is taken as it is given, else that of the HTML, which alone marks what is quoted.
    """
    records, problems = read_records(text, ("tickets", "results"))
    return read_threads(records, problems, _to_thread)


def _to_thread(number: int, record: Record) -> Thread:
    ticket = as_dict(record.get("helpdesk_ticket")) or record
    question = _read_text(ticket, "description")
    replies = as_list(ticket.get("conversations")) or [
        as_dict(one).get("note") or one for one in as_list(ticket.get("notes"))
    ]
    requester = as_text(ticket.get("requester_id"))
    side: Side = "assistant" if ticket.get("source") == _OUTBOUND else "user"
    author = as_text(ticket.get("responder_id")) if side == "assistant" else requester
    first = Post(side, question, author)  # without a time, and so the first
    id = as_text(ticket.get("id")) or as_text(ticket.get("display_id"))
    return Thread(number, id, [first, *(_to_post(as_dict(reply), requester) for reply in replies)])


def _to_post(reply: Record, requester: str) -> Post:
    text = _read_text(reply, "body")
    author, time = as_text(reply.get("user_id")), as_time(reply.get("created_at"))
    side: Side | None = "user" if author and author == requester else "unknown"
    if isinstance(incoming := reply.get("incoming"), bool):
        side = "user" if incoming else "assistant"
    if reply.get("source") in (_SURVEY, _FORWARDED) or reply.get("automation_id") or reply.get("auto_response") is True:
        side = None
    return Post(side, text, author, time, internal=reply.get("private") is True)


def _read_text(record: Record, name: str) -> str:
    """Return a text: `body_text` beside the HTML `body`, or of version 1 `body` beside `body_html`."""
    html, plain = as_text(record.get(name)), as_text(record.get(f"{name}_text"))
    if older := as_text(record.get(f"{name}_html")):
        html, plain = older, html
    return choose_text("" if "freshdesk_quote" in html else plain, html) or plain
