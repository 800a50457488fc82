"""What real ticket systems have besides people's words: rules, forwarded mails, ratings, and mail of any language."""

import json
from typing import Any

import pytest

from gateway.conversations.conversation import Import
from gateway.conversations.formats import read_conversations
from gateway.conversations.html_text import read_html
from gateway.conversations.mail_text import strip_mail


def read(*records: dict[str, Any]) -> Import:
    return read_conversations(json.dumps([*records]).encode())[1]


def get_replies(content: Import) -> list[str]:
    return [text for one in content.conversations for text in one.replies]


@pytest.mark.parametrize("channel", ["rule", "answer_bot"])
def test_what_zendesks_rules_write_in_an_agents_name_is_left_out(channel: str) -> None:
    texts = [("Why?", 1, "email"), ("We got your request.", 2, channel), ("So.", 2, "web")]
    comments = [{"author_id": author, "plain_body": text, "via": {"channel": via}} for text, author, via in texts]
    content = read({"id": 1, "requester_id": 1, "assignee_id": 2, "via": {"channel": "email"}, "comments": comments})
    assert get_replies(content) == ["So."]
    assert content.omitted == {"messages of bots": 1}


@pytest.mark.parametrize(
    "sign", [{"source": 8}, {"source": 6, "incoming": True}, {"automation_id": 5}, {"auto_response": True}]
)
def test_what_is_said_to_others_than_freshdesks_customer_is_left_out(sign: dict[str, Any]) -> None:
    people = {"incoming": False, "private": False, "source": 0, "automation_id": None, "auto_response": False}
    replies = [{**people, "body_text": "Please look.", **sign}, {**people, "body_text": "So."}]
    content = read({"id": 1, "requester_id": 1, "description_text": "Why?", "conversations": replies})
    assert [[message.text for message in one.messages] for one in content.conversations] == [["Why?", "So."]]
    assert content.omitted == {"messages of bots": 1}


@pytest.mark.parametrize(
    "fields",
    [
        "Od: Anna <a@kestrel.example>\nWysłano: 5 stycznia 2026 10:12\nDo: Bo <b@x.example>\nTemat: Czajnik",
        "Från: Anna <a@kestrel.example>\nSkickat: den 5 januari 2026 10:12\nTill: Bo <b@x.example>\nÄmne: Kettle",
        "От: Анна <a@kestrel.example>\nОтправлено: 5 января 2026 г. 10:12\nКому: Bo <b@x.example>\nТема: Re: Чайник",
        "差出人: Anna <a@kestrel.example>\n送信日時: 2026年1月5日 10:12\n宛先: Bo <b@x.example>\n件名: Kettle",
        "发件人： Anna <a@kestrel.example>\n发送时间： 2026年1月5日 10:12\n收件人： Bo <b@x.example>\n主题： Kettle",
    ],
    ids=["pl", "sv", "ru", "ja", "zh"],
)
def test_the_fields_of_a_quoted_mail_are_known_in_any_language(fields: str) -> None:
    assert strip_mail(f"OK!\n\n{fields}\n\nHi Bo") == "OK!"


def test_lines_with_colons_that_are_no_mails_fields_stay() -> None:
    text = "Contact: us <help@kestrel.example>\nOpen: 9:30\nSince: 2019\nPhone: by day"
    assert strip_mail(text) == text


def test_the_line_above_a_quote_is_known_where_letters_follow_the_time() -> None:
    assert strip_mail("谢谢。\n\nAnna <a@kestrel.example> 于2026年1月5日周一 10:12写道：\n\n> 你好") == "谢谢。"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<table><tr><td>10</td><td>20</td></tr></table>", "10 20"),
        ('<p>See <a href="https://www.x.example/a">x.example/a</a></p>', "See x.example/a"),
        ('<p>See <a href="https://x.example/a">here</a></p>', "See here (https://x.example/a)"),
        ('<div>OK</div>-- <br><div class="gmail_signature">Bo</div>', "OK"),
        ("<div>a<br>--</div>", "a\n--"),
    ],
)
def test_html_is_read_as_it_is_seen(html: str, text: str) -> None:
    assert read_html(html) == text


def test_a_ticket_that_was_exported_without_its_comments_says_what_to_export() -> None:
    ticket = {"id": 1, "requester_id": 1, "via": {"channel": "web"}, "description": "Why?"}
    talk = [{"author_id": 1, "plain_body": text} for text in ("Why?", "Hello?")]
    first, second = read(ticket, {**ticket, "comments": talk}).problems
    assert "It has one message alone: where there were more, export tickets with their comments" in first.message
    assert "one message alone" not in second.message
