from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.conversations import Conversation
from gateway.conversations.counterfactuals import vary_rows, vary_values
from gateway.evaluation.values import TextValues, find_values
from tests.gateway.conversations.planted_facts import TOPICS, plant
from training.dataset import Message, RowPassage

PLANTED = [one.conversation for one in plant(300, seed=4)[0]]
GROUNDED = [one for one in PLANTED if one.passages]


def texts(row: Conversation) -> list[str]:
    passages = [text for one in row.passages or () for text in (one.title, one.text)]
    return [*(message.text for message in row.messages), *passages]


def mask(text: str) -> str:
    for value in reversed(find_values(text)):
        text = f"{text[: value.start]}<{value.kind}>{text[value.end :]}"
    return text


@settings(max_examples=40)
@given(st.sampled_from(GROUNDED), st.integers(0, 2**31))
def test_a_varied_row_is_the_same_but_for_values_of_the_same_kind(row: Conversation, seed: int) -> None:
    varied = vary_values(row, seed).conversation
    assert [mask(text) for text in texts(varied)] == [mask(text) for text in texts(row)]
    assert (varied.number, varied.id, varied.rejected) == (row.number, row.id, row.rejected)


@settings(max_examples=40)
@given(st.sampled_from(GROUNDED), st.integers(0, 2**31))
def test_what_passages_stated_they_still_state(row: Conversation, seed: int) -> None:
    def judge(one: Conversation) -> list[bool]:
        evidence = TextValues.of(one.prompt)
        return [evidence.states(value) for reply in one.replies for value in find_values(reply)]

    result = vary_values(row, seed)
    assert judge(result.conversation) == judge(row)
    assert (result.conversation != row) == (result.varied > 0)
    assert result.varied <= result.supported
    assert vary_values(row, seed) == result


@settings(max_examples=40)
@given(st.sampled_from(PLANTED), st.integers(0, 2**31))
def test_values_without_evidence_stay(row: Conversation, seed: int) -> None:
    bare = replace(row, passages=None)
    assert vary_values(bare, seed).conversation == bare


def test_most_replies_of_each_kind_are_covered_and_rows_differ() -> None:
    rows, coverage = vary_rows(GROUNDED, seed=1)
    assert coverage.rows >= 0.85 * len(GROUNDED)  # the others have their value in words
    assert coverage.share >= 0.9
    for topic in TOPICS:
        of_topic = [(new, old) for new, old in zip(rows, GROUNDED, strict=True) if topic in old.messages[0].text]
        assert any(new != old for new, old in of_topic), topic
    assert vary_rows(GROUNDED, seed=1)[0] == rows
    assert vary_rows(GROUNDED, seed=2)[0] != rows


def test_all_spellings_of_a_value_are_written_in_their_own_form() -> None:
    messages = [Message("user", "Is it £1,000?"), Message("assistant", "Yes, 1000.00 pounds until 02.02.2026.")]
    row = Conversation(1, messages, passages=[RowPassage("EUR 1000", "It costs GBP 1,000, until 2 Feb 2026.")])
    result = vary_values(row, 3)
    assert (result.varied, result.supported) == (2, 2)
    new = result.conversation
    assert new.passages
    asked, stated = (find_values(text)[0].readings for text in (new.messages[0].text, new.passages[0].text))
    assert asked == stated != ("money:GBP 1000",)
    assert new.passages[0].title == "EUR 1000"
    assert "," in new.messages[0].text
    assert new.messages[1].text.endswith(".02.2026.")


def test_the_share_is_of_rows_that_have_a_value_of_their_passages() -> None:
    other = Conversation(2, [Message("user", "Why?"), Message("assistant", "So.")], passages=[RowPassage("A", "B")])
    words = [Message("user", "How long?"), Message("assistant", "It is 31 months.")]
    spelled = Conversation(3, words, passages=[RowPassage("K2", "It is thirty-one months, or 31 months.")])
    rows, coverage = vary_rows([GROUNDED[0], other], seed=1)
    assert (coverage.varied, coverage.rows, coverage.share) == (1, 1, 1.0)
    assert rows[1] == other
    _, none = vary_rows([other], seed=1)
    assert (none.varied, none.rows, none.share) == (0, 0, 0.0)
    assert vary_rows([spelled], seed=1)[1].rows == 1


def make(passage: str, reply: str, question: str = "How is it?") -> Conversation:
    messages = [Message("user", question), Message("assistant", reply)]
    return Conversation(1, messages, passages=[RowPassage("", passage)])


@pytest.mark.parametrize(
    ("passage", "reply", "question"),
    [
        ("One is £20.", "One is £20, so two are £40.", "How is it?"),
        ("One is £20.", "One is £20, so two are £40.", "Are two £40?"),
        ("One is £20.", "Two of £20 are forty pounds.", "How is it?"),
        ("It is 15 to 25 kg.", "Between 15 kg and 25 kg, so up to 25 kg.", "How is it?"),
        ("From 2 Feb 2026, for 7 days.", "From 2 Feb 2026 to 9 Feb 2026, for 7 days.", "How is it?"),
        ("Send it within 14 days.", "14 days, so until 16 February.", "How is it?"),
        ("一个20元。", "一个20元，两个40元。", "多少钱？"),
    ],
)
def test_values_stay_where_a_reply_reckons_with_them_and_are_not_covered(
    passage: str, reply: str, question: str
) -> None:
    row = make(passage, reply, question)
    rows, coverage = vary_rows([row], 3)
    assert (rows, coverage.varied) == ([row], 0)


def test_values_of_other_kinds_are_varied_beside_a_reckoned_one() -> None:
    row = make("One is £20, with the code SAVE20.", "One is £20, two are £40, with SAVE20.")
    reply = vary_values(row, 3).conversation.replies[0]
    assert reply.startswith("One is £20, two are £40, with ")
    assert not reply.endswith("SAVE20.")


def test_a_value_of_the_question_leaves_other_kinds_to_be_varied() -> None:
    row = make("Returns: 14 days.", "You bought it on 2 February and have 14 days.", "I bought it on 2 February?")
    assert vary_values(row, 3).varied == 1


@settings(max_examples=30)
@given(st.dates(date(2020, 1, 1), date(2029, 12, 31)), st.integers(0, 2**31))
def test_a_date_beside_its_weekday_keeps_it(day: date, seed: int) -> None:
    written = f"{day:%A}, {day.day} {day:%B} {day.year}"
    (value,) = find_values(
        vary_values(make(f"On {written}.", f"It is on {written}, yes."), seed).conversation.replies[0]
    )
    other = date.fromisoformat(value.readings[0].removeprefix("date:"))
    assert (other.weekday(), other.month, other.year) == (day.weekday(), day.month, day.year)


def test_values_among_chinese_letters_are_varied() -> None:
    row = make("退款需要30天，运费是12元，2026年2月2日起。", "您好，需要30天和12元运费，从2026年2月2日开始。")
    result = vary_values(row, 3)
    assert (result.varied, result.supported) == (3, 3)
    assert mask(result.conversation.replies[0]) == mask(row.replies[0])


@pytest.mark.parametrize(
    ("evidence", "reply"),
    [
        ("It is 2 m long.", "It is 200 cm."),
        ("It is 2 m long.", "It is 2 m, or 200 cm."),
        ("It is 2 m (200 cm) long.", "It is 2 m."),
        ("Es dauert 90 Minuten.", "Es dauert 1,5 Stunden."),
        ("It takes 90 minutes, a step 30 min.", "It takes 1 h 30 min."),
        ("It takes 1 h 30 min.", "It takes 1 h 30 min."),
    ],
)
def test_a_value_in_several_units_stays_and_others_are_varied(evidence: str, reply: str) -> None:
    passages = [RowPassage("", f"{evidence} It has 24 W.")]
    turns = [Message("user", "Tell me."), Message("assistant", f"{reply} It has 24 W.")]
    row = Conversation(1, turns, passages=passages)
    for seed in range(5):
        varied = vary_values(row, seed)
        assert varied.varied == 1
        new = varied.conversation
        assert new.passages
        assert new.messages[1].text.startswith(reply)
        assert new.passages[0].text.startswith(evidence)
        assert new.messages[1].text[-5:] == new.passages[0].text[-5:] != " 24 W."


AMOUNTS = st.tuples(st.integers(2, 99), st.sampled_from(["m", "cm", "mm", "kg", "g", "h", "min", "days", "GB", "MB"]))


@settings(max_examples=60)
@given(st.lists(AMOUNTS, min_size=1, max_size=5), st.lists(AMOUNTS, min_size=1, max_size=5), st.integers(0, 99))
def test_a_reply_states_of_its_passages_what_it_stated_before_in_any_unit(
    stated: list[tuple[int, str]], replied: list[tuple[int, str]], seed: int
) -> None:
    def write(amounts: list[tuple[int, str]]) -> str:
        return "; ".join(f"{number} {unit}" for number, unit in [*amounts, (amounts[0][0] * 1000, amounts[0][1])])

    def judge(one: Conversation) -> list[bool]:
        evidence = TextValues.of(one.prompt)
        return [evidence.states(value) for reply in one.replies for value in find_values(reply)]

    messages = [Message("user", "Tell me."), Message("assistant", write([*stated[:1], *replied]))]
    row = Conversation(1, messages, passages=[RowPassage("", write(stated))])
    assert judge(vary_values(row, seed).conversation) == judge(row)
