"""The parts of an advice by themselves: halves, the texts of the prompt, facts, break-even."""

import json
from collections.abc import Sequence

import pytest

from gateway.advice.arms import Arm, PromptKit, list_arms, make_messages
from gateway.advice.halves import split_halves, to_row
from gateway.advice.prompt_texts import make_kit
from gateway.advice.report import count_break_even
from gateway.advice.row_facts import find_row_facts, look_at_facts, score_facts
from gateway.conversations.conversation import Conversation
from gateway.conversations.findings import RowFact
from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation_jobs.advice_inputs import read_advice_rows
from tests.gateway.advice.made_tenants import make_tenant
from training.dataset import Message, RowPassage

DAY = 86_400


def conversation(number: int, question: str, reply: str, *, system: str = "", id: str = "") -> Conversation:
    messages = [Message("system", system)] if system else []
    return Conversation(number, [*messages, Message("user", question), Message("assistant", reply)], id)


def numbers(conversations: Sequence[Conversation]) -> set[int]:
    return {one.number for one in conversations}


def test_the_halves_stay_the_same_and_keep_together_what_belongs_together() -> None:
    rows = [conversation(n, f"Question {n % 30}?", f"Reply {n}.") for n in range(60)]
    rows += [conversation(60 + n, f"Other {n}?", "Yes.", id="thread") for n in range(6)]
    halves = split_halves(rows)
    assert abs(len(halves.training) - len(halves.held_out)) <= 6
    assert numbers(halves.training) == numbers(split_halves(rows[::-1]).training)
    for group in [*({n, n + 30} for n in range(30)), set(range(60, 66))]:
        assert group <= numbers(halves.training) or group <= numbers(halves.held_out)


def test_one_question_of_several_threads_is_in_one_half() -> None:
    rows = [conversation(n, f"Question {n % 20}?", f"Reply {n % 20}.", id=f"ticket {n}") for n in range(60)]
    rows += [conversation(60 + n, f"Question {n}?", "And then?", id="ticket 7") for n in (3, 7)]
    halves = split_halves(rows)
    assert abs(len(halves.training) - len(halves.held_out)) <= 8
    openings = [{one.messages[0].text for one in half} for half in (halves.training, halves.held_out)]
    assert not openings[0] & openings[1]
    greetings = [conversation(n, "Hi", "Hello, how can we help?", id=f"ticket {n}") for n in range(30)]
    more = [Message("user", "Hi"), Message("assistant", "Hello, how can we help?")]
    threads = [
        Conversation(n, [*more, Message("user", f"Question {n}?"), Message("assistant", f"Reply {n}.")], f"ticket {n}")
        for n in range(30)
    ]
    assert len(split_halves(threads).held_out) == 15
    assert {len(split_halves(greetings).held_out), len(split_halves(greetings).training)} == {0, 30}
    joined = {3, 7, 23, 27, 43, 47, 63, 67}
    assert joined <= numbers(halves.training) or joined <= numbers(halves.held_out)
    assert numbers(halves.training) == numbers(split_halves(rows[::-1]).training)


def test_what_an_adapter_has_learnt_is_not_held_out() -> None:
    rows = [conversation(n, f"Question {n % 12}?", f"Reply {n}.") for n in range(24)]
    halves = split_halves(rows, {(f"Question {n}?", f"Reply {n}.") for n in range(4)})
    assert numbers(halves.training) == {0, 1, 2, 3, 12, 13, 14, 15}  # and what asks the same
    assert halves.learnt == 4
    assert split_halves(rows, {("Of another file?", "Yes.")}).learnt == 0


def test_a_guide_says_the_rules_and_examples_are_of_the_style() -> None:
    tenant = make_tenant("both", 3, rows=60)
    rows = read_advice_rows(tenant.data(), "chats.jsonl")
    kit = make_kit(rows)
    assert f'Begin with "{tenant.opening.casefold()}".' in kit.guide
    assert 'Never use "I".' in kit.guide
    assert len(kit.examples) == 3
    assert all(reply.startswith(tenant.opening) for _, reply in kit.examples)
    assert not any("£" in reply or "months" in reply for _, reply in kit.examples)  # values of other questions
    labels = make_kit(read_advice_rows(make_tenant("bounded", 3, rows=60).data(), "chats.jsonl"))
    assert len({reply for _, reply in labels.examples}) == 3
    assert "Write one word." in labels.guide


def test_each_arm_asks_in_its_own_way() -> None:
    row = to_row(conversation(1, "How long?", "31 months.", system="Be kind."), passages=True)
    kit = PromptKit("Style: short.", [("Before?", "Yes.")])
    asked = {style: make_messages(Arm(style, False), row, kit) for style in ("none", "prompt", "guide", "few-shot")}
    assert [one.role for one in asked["none"]] == ["user"]
    assert [one.content for one in asked["prompt"]] == ["Be kind.", "How long?"]
    assert asked["guide"][0].content == "Be kind.\n\nStyle: short."
    assert [one.content for one in asked["few-shot"]] == ["Be kind.", "Before?", "Yes.", "How long?"]
    assert row.passages == []
    arms, missing = list_arms(has_system=False, kit=PromptKit("", []), adapter=False, facts=False)
    assert [arm.name for arm in arms] == ["base"]
    assert len(missing) == 9
    arms, missing = list_arms(has_system=False, kit=kit, adapter=True, facts=True, prompt="support@2")
    assert {arm.name for arm in arms if arm.prompt} == {
        f"{style}{facts}" for style in ("prompt", "guide", "few-shot") for facts in ("", "+facts")
    }
    assert (len(arms), missing) == (10, {})


async def test_facts_are_values_that_the_turns_before_do_not_have() -> None:
    rows = [
        conversation(1, "Is order 4711 sent?", "Order 4711 left at 18:30.", system="We answer until 18:30."),
        conversation(2, "How long?", "It is 31 months.", system="Be kind."),
        conversation(3, "Why?", "Because of the rain."),
    ]
    passages = [RowPassage("Warranty", "The warranty is 31 months.")]
    rows[1] = Conversation(2, rows[1].messages, passages=passages)
    facts = await find_row_facts(None, rows)
    assert {n: [(one.text, one.place) for one in some] for n, some in facts.items()} == {
        1: [("18:30", "evidence")],  # of the system text
        2: [("31 months", "index")],
        3: [],
    }
    look = look_at_facts(facts, {}, 0.0)
    assert (look.with_facts, look.in_system, look.indexed, look.pace) == (2, 1, 1, "")


@pytest.mark.parametrize(
    ("gap", "pace"),
    [(0.1, "several times a day"), (1, "every day or two"), (7, "weekly"), (30, "monthly"), (90, "now and then")],
)
def test_the_pace_of_documents_is_told_from_their_versions(gap: float, pace: str) -> None:
    times = {"doc_1": [0, round(gap * DAY), round(2 * gap * DAY)], "doc_2": [0]}
    look = look_at_facts({1: ()}, times, 3 * gap * DAY)
    assert (look.pace, look.changing) == (pace, 1)


def test_of_a_changed_fact_the_present_value_is_right() -> None:
    def fact(place: str) -> RowFact:
        passage = "The warranty is 36 months, and delivery takes 5 days."
        return RowFact(1, "quantity", "24 months", ("quantity:24 month",), place, passage=passage)  # type: ignore[arg-type]

    answers = {"It is 36 months.": 1.0, "It is 24 months.": 0.0, "36, or 24 months.": 0.0, "I don't know.": 0.0}
    assert {text: score_facts([fact("changed")], text, documented=True) for text in answers} == answers
    assert score_facts([fact("index")], "It is 24 months.", documented=True) == 1.0
    assert score_facts([fact("nowhere")], "It is 24 months.", documented=True) is None
    assert score_facts([fact("nowhere")], "It is 24 months.", documented=False) == 1.0


def test_break_even_counts_a_trained_token_as_three() -> None:
    assert count_break_even(100_000, 150.0) == 2000
    assert count_break_even(100_000, 0.0) is None


def test_more_comparisons_make_intervals_wider() -> None:
    scores = [float(n % 3 == 0) for n in range(60)]
    one, five = (estimate_mean_difference(scores, [0.0] * 60, comparisons=number) for number in (1, 5))
    assert (five.low < one.low, five.high > one.high, five.value) == (True, True, one.value)


def test_rows_of_other_formats_are_read() -> None:
    rows = [{"instruction": f"Question {n}?", "input": "", "output": f"Reply {n}."} for n in range(25)]
    assert len(read_advice_rows(json.dumps(rows).encode(), "alpaca.json")) == 25
