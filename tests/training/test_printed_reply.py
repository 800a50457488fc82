import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.chat_templates import STRIPS_THOUGHTS, TRIMS, rewrite_replies
from training.chat_template import ChatTemplate
from training.printed_reply import describe_addition, describe_change, find_rest

END = "<|im_end|>\n"
EMPTY = "<think>\n\n</think>\n\n"
HEADER = "<|im_start|>assistant\n"
TRIMMED = ChatTemplate(TRIMS)
STRIPPED = ChatTemplate(STRIPS_THOUGHTS)
FORGETFUL = ChatTemplate(rewrite_replies("message.content.split('</think>')[-1]"))

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
replies = st.builds("{}{}{}".format, texts, st.sampled_from("abc<[&'"), texts).filter(lambda text: "think>" not in text)


def show(template: ChatTemplate, reply: str) -> str:
    return template.render([{"role": "assistant", "content": reply}], prompt=False).removeprefix(HEADER)


@given(replies, st.sampled_from(["", " ", "\n\n", "\t"]))
def test_a_reply_is_found_whatever_white_space_a_template_takes_off(reply: str, space: str) -> None:
    assert find_rest(show(TRIMMED, space + reply + space), space + reply + space, "") == END
    assert find_rest(show(STRIPPED, reply), reply, EMPTY) is not None


@given(replies.filter(lambda text: text.strip() != ""), texts)
def test_a_thought_may_go_or_stand_apart(reply: str, thought: str) -> None:
    for template, empty in ((FORGETFUL, ""), (STRIPPED, EMPTY)):
        whole = f"<think>{thought}</think>{reply}"
        assert (find_rest(show(template, whole), whole, empty) or "").strip() == END.strip()


@given(replies, st.data())
def test_a_character_less_is_a_change(reply: str, data: st.DataObject) -> None:
    reply = reply.strip()
    at = data.draw(st.integers(0, len(reply) - 1))
    if (shorter := reply[:at] + reply[at + 1 :]) and not reply[at].isspace():
        assert find_rest(shorter + END, reply, "") is None
        assert describe_change(shorter + END, reply, empty_thought="", tail=END)


@pytest.mark.parametrize(
    ("printed", "reply", "change"),
    [
        ("It&#39;s", "It's", "changes a reply: it prints '&#39;s<|im_end|>' for \"'s\""),
        ("See", "See [1].", "cuts a reply: nothing is left from ' [1].' on, after 3 characters"),
        ("", "<b>", "cuts a reply: nothing is left from '<b>' on, after 0 characters"),
        ("c", "[1] a [2] c", "changes a reply: it prints 'c<|im_end|>' for '[1] a [2] c'"),
    ],
)
def test_a_change_is_said_with_its_place(printed: str, reply: str, change: str) -> None:
    assert find_rest(printed + END, reply, "") is None
    assert describe_change(printed + END, reply, empty_thought="", tail=END) == change


def test_words_are_an_addition_and_marks_are_none() -> None:
    assert describe_addition(" Bye.\n") == "adds 'Bye.' to a reply"
    assert [describe_addition(text) for text in ("", "\n", "<|end|>", "[/ANSWER]")] == [None] * 4
