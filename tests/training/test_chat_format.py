import itertools
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training import chat_templates as templates
from training.chat_format import ChatFormat, choose_format, fold_system, needs_folding
from training.chat_template import ChatTemplate, TemplateRefused
from training.checkpoint import CheckpointUnreadable
from training.errors import TrainingError

DAY = date(2026, 11, 26)
ENDS = frozenset({"<|im_end|>", "<|endoftext|>"})
SPECIALS = {"eos_token": "<|endoftext|>"}
SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Aye."},
    {"role": "user", "content": "Two?"},
]


def choose(template: str) -> ChatFormat:
    return choose_format(ChatTemplate(template, SPECIALS), ENDS, DAY)


@pytest.mark.parametrize(
    ("template", "folds"),
    [
        (templates.NO_SYSTEM, True),
        (templates.SILENT_ON_SYSTEM, True),
        (templates.LAST_USER_SYSTEM, True),
        *[
            (template, False)
            for template in (templates.PLAIN, templates.DEFAULT_SYSTEM, templates.DATED_VARIABLE, templates.TRIMS)
        ],
    ],
)
def test_the_system_text_is_folded_where_the_template_has_no_lasting_place_for_it(template: str, folds: bool) -> None:
    assert choose(template).folds_system is folds
    assert needs_folding(ChatTemplate(template).render) is folds


@pytest.mark.parametrize("template", [templates.NO_SYSTEM, templates.SILENT_ON_SYSTEM, templates.LAST_USER_SYSTEM])
def test_a_folded_system_text_stands_at_the_same_place_in_every_turn(template: str) -> None:
    chat = ChatTemplate(template)
    prompts = [chat.render(fold_system([SYSTEM, *TURNS[:count]]), prompt=False) for count in (1, 2, 3)]
    assert all(after.startswith(before) for before, after in itertools.pairwise(prompts))
    assert prompts[0] == "<|im_start|>user\nBe brief.\n\nOne?<|im_end|>\n"


def test_folding_joins_all_system_texts_and_leaves_what_has_none() -> None:
    late = {"role": "system", "content": "Be kind."}
    assert fold_system([SYSTEM, TURNS[1], *TURNS, late]) == [
        TURNS[1],
        {"role": "user", "content": "Be brief.\n\nBe kind.\n\nOne?"},
        *TURNS[1:],
    ]
    assert fold_system(TURNS) == TURNS
    assert fold_system([SYSTEM]) == [SYSTEM]
    assert fold_system([SYSTEM, {"role": "user", "content": ""}]) == [{"role": "user", "content": "Be brief."}]


@pytest.mark.parametrize(
    ("template", "variables"),
    [
        (templates.STRIPS_THOUGHTS, {}),
        (templates.OPENS_THOUGHT_UNLESS_TOLD, {"enable_thinking": False}),
        (templates.DATED_VARIABLE, {"date_string": "26 Nov 2026"}),
        (templates.DATED_BY_DEFAULT, {"today": "26 November 2026", "weekday": "Thursday"}),
        (templates.DATED_LAST, {"today": "2026-11-26"}),
    ],
)
def test_thoughts_are_switched_off_and_the_date_is_pinned_where_the_template_can(
    template: str, variables: dict[str, object]
) -> None:
    assert choose(template).variables == variables


@pytest.mark.parametrize(("template", "trait"), templates.REFUSED.values(), ids=templates.REFUSED)
def test_a_template_under_which_nothing_can_be_learnt_is_refused_by_its_trait(template: str, trait: str) -> None:
    with pytest.raises(TrainingError, match=trait) as caught:
        choose(template)
    assert caught.value.code == "unsupported_chat_template"
    assert "chat_template.jinja" in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        *["| e", "| urlize", "| striptags", "| title", "| truncate(255)", "| indent(2)", "| urlencode", "| tojson"],
        *["[:5000]", ".split('\\n')[0]", ".split('<')[0]", ".split('#')[0]", ".split() | join(' ')"],
        *[".replace('\\n\\n', '\\n')", ".replace('\\t', '  ')", ".replace('*', '')", ".rstrip('.')", ".expandtabs()"],
        *[".encode('ascii', 'ignore').decode()", " ~ ' (end)'"],
    ],
)
def test_a_template_that_makes_other_replies_of_replies_is_refused(change: str) -> None:
    with pytest.raises(TrainingError, match=r"template (cuts|changes|adds|writes) .* (repl|learn)") as caught:
        choose(templates.rewrite_replies(f"message.content{change}"))
    assert caught.value.code == "unsupported_chat_template"


@pytest.mark.parametrize("change", ["| trim", ".lstrip('\\n')", ".split('</think>')[-1]", " ~ '\\n'", " ~ '<|done|>'"])
def test_outer_white_space_thoughts_and_marks_are_no_change_of_a_reply(change: str) -> None:
    assert choose(templates.rewrite_replies(f"message.content{change}")) == ChatFormat()


MARKS = {
    "tags": ("<reasoning>", "</reasoning>"),
    "prefixed tags": ("<seed:think>", "</seed:think>"),
    "brackets": ("[THINK]", "[/THINK]"),
    "tokens": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "capital tokens": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "other brackets": ("◁think▷", "◁/think▷"),
    "affixes": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "unlike marks": ("<|channel>thought:", "<channel|>"),
}
ALWAYS_EMPTY = templates.PLAIN.replace(
    "{{ message.content }}", "{% if message.role == 'assistant' %}<think></think>{% endif %}{{ message.content }}"
)
BY_MEMBER = templates.PLAIN.replace(
    "{{ message.content }}",
    "{% if message.role == 'assistant' %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}",
)


def mark(template: str, kind: str) -> str:
    opening, closing = MARKS[kind]
    return template.replace("<think>", opening).replace("</think>", closing)


@pytest.mark.parametrize("kind", MARKS)
def test_thoughts_are_told_by_what_the_template_does_whatever_their_marks_are(kind: str) -> None:
    opening = re.escape(MARKS[kind][0])
    for template in (templates.OPENS_THOUGHT, templates.OPENS_THOUGHT_ALWAYS):
        with pytest.raises(TrainingError, match=rf"opens a thought in the prompt for a reply \({opening}\)"):
            choose(mark(template, kind))
    assert choose(mark(templates.OPENS_THOUGHT_UNLESS_TOLD, kind)).variables == {"enable_thinking": False}
    closing = MARKS[kind][1]
    assert choose(mark(templates.STRIPS_THOUGHTS, kind)).empty_thought == f"{MARKS[kind][0]}\n\n{closing}\n\n"
    assert choose(mark(BY_MEMBER, kind)).empty_thought == f"{MARKS[kind][0]}{closing}"
    if kind != "unlike marks":
        assert choose(mark(ALWAYS_EMPTY, kind)).empty_thought == f"{MARKS[kind][0]}{closing}"


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("thinking is not defined or thinking", False),
        ("not skip_thoughts", True),
        ("budget is not defined or budget > 0", 0),
        ("effort is not defined or effort != 'none'", "none"),
        ("mode is not defined or mode != 'off'", "off"),
    ],
)
def test_a_thought_is_switched_off_by_the_name_that_does_it(switch: str, value: object) -> None:
    template = templates.OPENS_THOUGHT_UNLESS_TOLD.replace(
        "enable_thinking is defined and enable_thinking is false", f"not ({switch})"
    )
    assert list(choose(template).variables.values()) == [value]


@pytest.mark.parametrize(
    ("template", "trait"),
    [
        (templates.DATED_LAST.replace("today or ", ""), "prints today's date"),
        (templates.DATED_BY_DEFAULT.replace("weekday | default(strftime_now('%A'))", "strftime_now('%H:%M')"),
         "prints today's date"),
        (templates.PLAIN.replace("{{ message.content", "{{ now().year }}{{ message.content"), r"calls now\(\), which"),
        (templates.PLAIN.replace("assistant\n{%", "assistant\nAnswer: {%"), "begins a reply with 'Answer:'"),
        (templates.PLAIN.replace("{{ message.content }}", "{{ message.content if message.role != 'user' }}"),
         "leaves the last question out"),
        (templates.TURNS, r"has no prompt for a reply .*: it writes '<\|im_start"),
    ],
)  # fmt: skip
def test_other_traits_are_refused_by_their_own_names(template: str, trait: str) -> None:
    with pytest.raises(TrainingError, match=trait):
        choose(template)


@given(
    where=st.sampled_from(["", "{% if messages[0].role != 'system' %}"]),
    values=st.sampled_from(["['a', 'b', 'c']", "range(1000)", "'abc'", "messages | length | string"]),
    inside=st.booleans(),
)
def test_a_template_that_picks_at_random_is_refused_each_time(where: str, values: str, inside: bool) -> None:
    pick = f"{where}{{{{ {values} | random }}}}{'{% endif %}' if where else ''}"
    template = templates.PLAIN.replace("{{ message.content }}", f"{pick}{{{{ message.content }}}}")
    with pytest.raises(TrainingError, match="picks something at random") as caught:
        choose(template if inside else pick + templates.PLAIN)
    assert caught.value.code == "unsupported_chat_template"


def test_what_is_picked_at_random_can_be_given_where_the_template_takes_it() -> None:
    given_name = "{% if seed is not defined %}{% set seed = range(1000) | random %}{% endif %}{{ seed }}\n"
    assert choose(given_name + templates.PLAIN).variables == {"seed": False}


@pytest.mark.parametrize(
    "template", [templates.INSTRUCTS_LAST, templates.INSTRUCTS_PROMPT, templates.LAST_TURNS, templates.DATED_LAST]
)
def test_what_changes_in_earlier_turns_alone_is_no_obstacle(template: str) -> None:
    assert choose(template).empty_thought == ""


def test_a_date_in_the_default_system_text_alone_asks_for_a_system_text() -> None:
    assert choose(templates.DATED_DEFAULT) == ChatFormat(needs_system=True)
    assert not choose(templates.DATED_VARIABLE).needs_system


def test_parts_are_for_templates_that_walk_through_them() -> None:
    format = choose(templates.JOINS_PARTS)
    assert format.takes_parts
    assert format.prepare(TURNS[:1]) == [{"role": "user", "content": [{"type": "text", "text": "One?"}]}]
    assert not choose(templates.PLAIN).takes_parts


@pytest.mark.parametrize(
    "walk",
    [
        "{% for part in message['content'] %}{{ part.text }}{% endfor %}",
        "{% for part in message.content | list %}{{ part.text }}{% endfor %}",
        "{% set content = message.content %}{% for part in content %}{{ part.text }}{% endfor %}",
    ],
)
def test_a_walk_is_seen_however_it_is_written(walk: str) -> None:
    assert ChatTemplate(f"{{% for message in messages %}}{walk}{{% endfor %}}").takes_parts


def test_a_walk_in_a_macro_is_seen() -> None:
    macro = "{% macro show(parts) %}{% for part in parts %}{{ part.text }}{% endfor %}{% endmacro %}"
    assert ChatTemplate(macro + "{% for m in messages %}{{ show(m.content) }}{% endfor %}").takes_parts
    assert ChatTemplate(macro + "{% for m in messages %}{{ show(parts=m.content) }}{% endfor %}").takes_parts
    assert not ChatTemplate(macro + "{% for m in messages %}{{ m.content }}{% endfor %}").takes_parts


def test_a_template_is_rendered_in_a_closed_world() -> None:
    text = ChatTemplate("{% generation %}{{ messages | tojson }}{{ eos_token }}{% endgeneration %}", SPECIALS)
    assert text.render([{"role": "user", "content": "<é>"}], prompt=False) == (
        '[{"role": "user", "content": "<é>"}]<|endoftext|>'
    )
    with pytest.raises(TemplateRefused):
        ChatTemplate("{{ messages.__class__.__mro__ }}{{ 1 / 0 }}").render([], prompt=False)
    with pytest.raises(CheckpointUnreadable, match="isn't valid"):
        ChatTemplate("{% for %}")
