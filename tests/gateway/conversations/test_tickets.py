"""Exports of ticket systems, in the shapes of their API references, as conversations."""

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations.conversation import Import
from gateway.conversations.formats import read_conversations

CARD = "Kind regards,\nAnna Smith\nSupport Engineer | Kestrel Ltd\n+44 20 7946 0000 | www.kestrel.example"


def zendesk(number: int, answer: str) -> dict[str, Any]:
    return {
        "id": 100 + number,
        "subject": "Kettle",
        "description": f"Where is order {number}?",
        "requester_id": 5,
        "via": {"channel": "email"},
        "comments": [
            {"id": 3, "author_id": 9, "plain_body": answer, "public": True, "created_at": "2026-01-01T12:00:00Z"},
            {
                "id": 1,
                "author_id": 5,
                "plain_body": f"Where is order {number}?",
                "public": True,
                "created_at": "2026-01-01T10:00:00Z",
            },
            {"id": 2, "author_id": 9, "body": "Check stock", "public": False, "created_at": "2026-01-01T11:00:00Z"},
            {
                "id": 4,
                "author_id": 5,
                "html_body": "<p>Great, thanks!</p>",
                "public": True,
                "created_at": "2026-01-02T10:00:00Z",
            },
        ],
    }


def intercom(number: int, answer: str) -> dict[str, Any]:
    html = "<p>" + answer.replace("\n", "<br>") + "</p>"
    admin, user, bot = ({"type": kind, "id": str(place)} for place, kind in enumerate(("admin", "user", "bot")))
    return {
        "type": "conversation",
        "id": str(100 + number),
        "source": {"type": "conversation", "body": f"<p>Where is order {number}?</p>", "author": user},
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": [
                {"part_type": "comment", "body": "<p>I am a bot.</p>", "author": bot, "created_at": 1400857490},
                {"part_type": "assignment", "body": None, "author": admin, "created_at": 1400857493},
                {"part_type": "note", "body": "<p>Check stock</p>", "author": admin, "created_at": 1400857494},
                {"part_type": "close", "body": html, "author": admin, "created_at": 1400857495},
                {"part_type": "comment", "body": "<p>Great, thanks!</p>", "author": user, "created_at": 1400857499},
            ],
        },
    }


def freshdesk(number: int, answer: str) -> dict[str, Any]:
    return {
        "id": 100 + number,
        "subject": "Kettle",
        "description": f"<div>Where is order {number}?</div>",
        "description_text": f"Where is order {number}?",
        "requester_id": 5,
        "conversations": [
            {
                "body_text": "Check stock",
                "incoming": False,
                "private": True,
                "user_id": 9,
                "created_at": "2026-01-01T01:00:00Z",
            },
            {
                "body_text": answer,
                "incoming": False,
                "private": False,
                "user_id": 9,
                "created_at": "2026-01-01T02:00:00Z",
            },
            {
                "body": "<div>Great, thanks!</div>",
                "incoming": True,
                "private": False,
                "user_id": 5,
                "created_at": "2026-01-01T03:00:00Z",
            },
        ],
    }


EXPORTS = {
    "zendesk": (zendesk, "tickets"),
    "intercom": (intercom, "conversations"),
    "freshdesk": (freshdesk, "tickets"),
}


@pytest.fixture(params=list(EXPORTS))
def system(request: pytest.FixtureRequest) -> str:
    return request.param


def read(data: Any, format: str) -> Import:
    name, content = read_conversations(json.dumps(data).encode())
    assert name == format
    return content


def test_threads_become_conversations_without_notes_bots_and_cards(system: str) -> None:
    make, _ = EXPORTS[system]
    content = read([make(number, f"Order {number} is on its way.\n\n{CARD}") for number in range(4)], system)
    assert not content.problems
    assert [one.id for one in content.conversations] == ["100", "101", "102", "103"]
    for number, one in enumerate(content.conversations):
        assert [(message.role, message.text) for message in one.messages] == [
            ("user", f"Where is order {number}?"),
            ("assistant", f"Order {number} is on its way.\n\nKind regards,\nAnna Smith"),
        ]
    assert content.omitted.pop("messages of bots", 4) == 4
    assert content.omitted == {"internal notes": 4, "customers' last words": 4, "signatures": 4}


def test_pages_of_the_api_and_lines_are_the_same_as_a_list(system: str) -> None:
    make, name = EXPORTS[system]
    records = [make(number, "It is on its way.") for number in range(2)]
    page = read({name: records, "next_page": None}, system)
    assert page == read(records, system)
    lines = "\n".join(map(json.dumps, records)).encode()
    assert read_conversations(lines) == (system, page)


def test_a_thread_that_nobody_answered_is_a_problem(system: str) -> None:
    make, _ = EXPORTS[system]
    record = make(1, "")
    content = read([record, make(2, "It is on its way.")], system)
    assert [problem.row for problem in content.problems] == [1]


def test_messages_of_one_side_are_joined() -> None:
    ticket = zendesk(1, "First.")
    ticket["comments"].append({"author_id": 9, "plain_body": "Second.", "created_at": "2026-01-01T12:30:00Z"})
    (one,) = read([ticket], "zendesk").conversations
    assert one.messages[-1].text == "First.\n\nSecond."


def test_zendesks_users_tell_agents_from_other_customers() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["comments"].append({"author_id": 6, "plain_body": "I ask too.", "created_at": "2026-01-01T10:30:00Z"})
    users = [{"id": 5, "role": "end-user"}, {"id": 6, "role": "end-user"}, {"id": 9, "role": "agent"}]
    (one,) = read({"tickets": [ticket], "users": users}, "zendesk").conversations
    assert one.messages[0].text == "Where is order 1?\n\nI ask too."


def test_a_thread_with_an_author_of_an_unknown_role_is_a_problem_and_not_learnt() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["comments"].append({"author_id": 6, "plain_body": "I am his wife.", "created_at": "2026-01-01T10:30:00Z"})
    content = read([ticket, zendesk(2, "It is on its way.")], "zendesk")
    assert [one.id for one in content.conversations] == ["102"]
    (problem,) = content.problems
    assert (problem.row, "6" in problem.message, "`users`" in problem.message) == (1, True, True)


@pytest.mark.parametrize(
    "sign",
    [
        {"assignee_id": 9},
        {"submitter_id": 9},
        {"assignee": {"id": 9, "role": "agent"}},
        {"users": [{"id": 9, "role": "admin"}]},
        {"comments": [{"author_id": 9, "public": False, "plain_body": "Check stock"}]},
    ],
)
def test_zendesks_agents_are_told_by_what_only_they_do_in_any_ticket_of_the_file(sign: dict[str, Any]) -> None:
    ticket = {key: value for key, value in zendesk(1, "It is on its way.").items() if key != "comments"}
    question, answer = ({"author_id": author, "plain_body": text} for author, text in ((5, "Where?"), (9, "Sent.")))
    other = {"id": 7, "requester_id": 4, "description": "Hi", **sign}
    first, unsure = (read([{**ticket, "comments": [question, answer]}, *more], "zendesk") for more in ([other], []))
    assert [one.replies for one in first.conversations] == [["Sent."]]
    assert unsure.conversations == []


def test_what_zendesk_itself_writes_is_nobodys_voice() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["comments"].append({"author_id": -1, "plain_body": "Merged.", "created_at": "2026-01-01T12:30:00Z"})
    content = read([ticket], "zendesk")
    assert [one.replies for one in content.conversations] == [["It is on its way."]]
    assert content.omitted["messages of bots"] == 1


def test_freshdesks_messages_without_a_direction_are_the_requesters_or_unknown() -> None:
    ticket = freshdesk(1, "It is on its way.")
    ticket["conversations"].append({"body_text": "And when?", "user_id": 5, "created_at": "2026-01-01T01:30:00Z"})
    (one,) = read([ticket], "freshdesk").conversations
    assert one.messages[0].text == "Where is order 1?\n\nAnd when?"
    ticket["conversations"][-1]["user_id"] = 6
    assert [problem.row for problem in read([ticket], "freshdesk").problems] == [1]


TIMES = st.integers(0, 2_000_000_000)
ZONES = st.sampled_from((0, 60, 120, -300, 330))


@given(st.lists(st.tuples(TIMES, ZONES), min_size=2, max_size=6, unique_by=lambda pair: pair[0]), st.randoms())
def test_messages_are_sorted_by_the_moment_at_which_they_were_written(
    moments: list[tuple[int, int]], rng: random.Random
) -> None:
    shapes = ("%Y-%m-%dT%H:%M:%S%z", "%Y/%m/%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S.000%z")
    posts: list[dict[str, Any]] = []
    for seconds, minutes in moments:
        written = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes))).strftime(rng.choice(shapes))
        posts.append({"body_text": str(seconds), "incoming": True, "created_at": rng.choice((written, seconds))})
    last = {"body_text": "Done.", "incoming": False, "created_at": "2099-01-01T00:00:00Z"}
    rng.shuffle(posts)
    ticket = {"id": 1, "description_text": "First", "conversations": [last, *posts]}
    (one,) = read([ticket], "freshdesk").conversations
    assert one.messages[0].text.split("\n\n") == ["First", *map(str, sorted(seconds for seconds, _ in moments))]


def test_a_message_without_a_time_stays_behind_the_one_that_it_follows() -> None:
    ticket = freshdesk(1, "It is on its way.")
    ticket["conversations"].append({"body_text": "By ship.", "incoming": False, "created_at": "soon"})
    ticket["conversations"].append({"body_text": "?", "incoming": True, "created_at": "2026-01-01T01:30:00Z"})
    (one,) = read([ticket], "freshdesk").conversations
    texts = ["Where is order 1?\n\n?", "It is on its way.", "Great, thanks!", "By ship."]
    assert [message.text for message in one.messages] == texts


def test_an_agent_who_wrote_first_is_read_and_not_learnt() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["comments"].append({"author_id": 9, "plain_body": "Your order is late.", "created_at": "2025-12-31T10"})
    (one,) = read([ticket], "zendesk").conversations
    assert [message.weight for message in one.messages] == [0, None, None]


def test_freshdesks_older_exports_are_read() -> None:
    notes = [{"note": {"body": "It is on its way.", "incoming": False, "private": False, "user_id": 9}}]
    export = [{"helpdesk_ticket": {"display_id": 7, "description": "Where is it?", "notes": notes}}]
    (one,) = read(export, "freshdesk").conversations
    assert (one.id, one.replies) == ("7", ["It is on its way."])


@pytest.mark.parametrize("mark", ["from_ai_agent", "is_ai_answer"])
def test_what_intercoms_agent_of_ai_wrote_is_nobodys_voice(mark: str) -> None:
    record = intercom(1, "It is on its way.")
    parts = record["conversation_parts"]["conversation_parts"]
    answer = {"part_type": "comment", "body": "<p>I guess so.</p>", "created_at": 1400857491}
    parts.append({**answer, "author": {"type": "admin", "id": "8", mark: True}})
    parts.append({**answer, "body": "<p>A human's.</p>", "author": {"type": "admin", "id": "9", mark: False}})
    content = read([record], "intercom")
    (one,) = content.conversations
    assert one.messages[-1].text == "A human's.\n\nIt is on its way."
    assert content.omitted["messages of bots"] == 2


def test_intercoms_older_exports_have_their_first_message_elsewhere() -> None:
    record = intercom(1, "It is on its way.")
    record["conversation_message"] = record.pop("source")
    record["conversation_parts"] = record["conversation_parts"]["conversation_parts"]
    (one,) = read([record], "intercom").conversations
    assert [message.text for message in one.messages] == ["Where is order 1?", "It is on its way."]


def test_zendesks_people_may_stand_in_the_ticket_itself() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["requester"] = {"id": ticket.pop("requester_id")}
    (bare,) = read([ticket], "zendesk").conversations  # nothing says who is an agent
    assert [message.role for message in bare.messages] == ["user", "assistant"]
    for comment in ticket["comments"]:
        comment["author"] = {"id": (id := comment.pop("author_id")), "role": "end-user" if id == 5 else "agent"}
    ticket["comments"].append(
        {"author": {"id": 6, "role": "end-user"}, "plain_body": "I ask too.", "created_at": "2026-01-01T10:30:00Z"}
    )
    (one,) = read([ticket], "zendesk").conversations
    assert [(message.role, message.text) for message in one.messages] == [
        ("user", "Where is order 1?\n\nI ask too."),
        ("assistant", "It is on its way."),
    ]


def test_a_ticket_of_zendesk_without_its_comments_has_its_description_alone() -> None:
    ticket = zendesk(1, "It is on its way.")
    ticket["comments"] = []
    content = read([ticket], "zendesk")
    assert content.conversations == []
    assert content.omitted == {"customers' last words": 1}


MERGES = (
    'Request #8 "Kettle" was closed and merged into this request. Last comment in request #8:\n\nHello?',
    "Requests #8, #9 were closed and merged into this request.",
    'This request was closed and merged into request #8 "Kettle".',
)


@pytest.mark.parametrize("notice", [*({"plain_body": text} for text in MERGES), {"type": "VoiceComment"}])
def test_zendesks_records_in_an_agents_name_are_nobodys_voice(notice: dict[str, Any]) -> None:
    ticket = zendesk(1, "It is on its way.")
    made = {"author_id": 9, "plain_body": "Call from: +1 (415) 555-0100", "created_at": "2026-01-01T11:30:00Z"}
    ticket["comments"].append({**made, "public": True, **notice})
    content = read([ticket], "zendesk")
    (one,) = content.conversations
    assert one.replies == ["It is on its way."]
    assert content.omitted["messages of bots"] == 1


def test_zendesks_markdown_is_the_last_choice() -> None:
    ticket = zendesk(1, "")
    picture = "![](https://kestrel.zendesk.com/attachments/token/x/?name=a.png)\n\nPress **red**."
    html = '<p><img src="https://kestrel.zendesk.com/attachments/token/x/?name=a.png"></p><p>Press <b>red</b>.</p>'
    ticket["comments"][0].update(body=picture, html_body=html, plain_body=None)
    assert read([ticket], "zendesk").conversations[0].replies == ["Press red."]
    del ticket["comments"][0]["html_body"]
    assert read([ticket], "zendesk").conversations[0].replies == [picture]


def test_intercoms_own_bot_and_redacted_parts_are_nobodys_voice() -> None:
    record = intercom(1, "It is on its way.")
    parts = record["conversation_parts"]["conversation_parts"]
    part = {"part_type": "comment", "created_at": 1400857491}
    operator = {"type": "admin", "id": "274", "email": "operator+abcd1234@intercom.io"}
    parts.append({**part, "body": "<p>You'll get replies here.</p>", "author": operator})
    deleted = "<p><i>This message was deleted</i></p>"
    parts.append({**part, "body": deleted, "author": {"type": "admin", "id": "9"}, "redacted": True})
    (one,) = read([record], "intercom").conversations
    assert one.replies == ["It is on its way."]


def test_freshdesks_quotes_are_told_by_its_html() -> None:
    ticket = freshdesk(1, "It is on its way.  On Thu, Jan 1 2026 at 10:00 Ben wrote: Where is it?")
    quote = "<div class='freshdesk_quote'><blockquote>On Thu, Jan 1 2026 at 10:00 Ben wrote:<br>Where is it?"
    ticket["conversations"][1]["body"] = f"<div>It is on its way.</div>{quote}</blockquote></div>"
    assert read([ticket], "freshdesk").conversations[0].replies == ["It is on its way."]
    ticket["conversations"][1]["body"] = f"{quote}</blockquote></div>"
    (reply,) = read([ticket], "freshdesk").conversations[0].replies
    assert reply.startswith("It is on its way."), "a message that is nothing else stays"


def test_a_ticket_of_freshdesk_that_an_agent_began_is_read_and_not_learnt() -> None:
    ticket = {**freshdesk(1, "All right."), "source": 10, "responder_id": 9}
    ticket["conversations"][0].update(body_text="Please don't.", incoming=True, private=False)
    (one,) = read([ticket], "freshdesk").conversations
    assert [(message.role, message.weight) for message in one.messages] == [
        ("assistant", 0),
        ("user", None),
        ("assistant", None),
    ]


def test_freshdesks_older_texts_have_their_lines() -> None:
    note = {"body": "Hello Ben,\n\nit ships today.", "body_html": "<div>Hello Ben,</div>", "incoming": False}
    ticket = {"display_id": 7, "description": "Hello,\nwhere is it?", "description_html": "<div>Hello</div>"}
    export = [{"helpdesk_ticket": {**ticket, "notes": [{"note": note}]}}]
    (one,) = read(export, "freshdesk").conversations
    assert [message.text for message in one.messages] == ["Hello,\nwhere is it?", "Hello Ben,\n\nit ships today."]
