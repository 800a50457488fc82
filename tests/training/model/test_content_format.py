"""Whether contents reach a template as text or as parts, beside vLLM's own detection."""

import warnings
from pathlib import Path

import pytest
import vllm
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.training import chat_templates as templates
from training.chat_template import ChatTemplate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports of torch warn
    from vllm.renderers import hf

PUBLISHED = sorted(Path(str(vllm.__file__)).parent.glob("transformers_utils/chat_templates/*.jinja"))
LOOP = "{{% for message in messages %}}{}{{% endfor %}}"
WALK = "{{% for part in {} %}}{{{{ part }}}}{{% endfor %}}"
SHOW = "{% macro show(parts, content=1) %}" + WALK.format("parts") + WALK.format("content") + "{% endmacro %}"
WRITTEN = {
    "the first message's content alone": WALK.format("messages[0].content"),
    "the first message under a name": "{% set first = messages[0] %}" + WALK.format("first.content"),
    "a system message's content, and no other": "{% set system = messages[0].content %}" + WALK.format("system"),
    "a document's content": "{% for document in documents %}" + WALK.format("document.content") + "{% endfor %}",
    "a loop over documents called message": "{% for message in documents %}"
    + WALK.format("message.content")
    + "{% endfor %}",
    "a message by its key": LOOP.format(WALK.format("message['content']")),
    "a filter": LOOP.format(WALK.format("message.content | list")),
    "a slice": LOOP.format(WALK.format("message.content[1:]")),
    "a part of the parts": LOOP.format(WALK.format("message.content[0]")),
    "a set name": LOOP.format("{% set content = message.content %}" + WALK.format("content")),
    "another set name": LOOP.format("{% set text = message.content %}" + WALK.format("text")),
    "other messages": "{% set turns = messages[1:] %}{% set rest = turns %}"
    + LOOP.replace("in messages", "in rest").format(WALK.format("message.content")),
    "messages in a namespace": "{% set ns = namespace() %}{% set ns.turns = messages %}"
    + LOOP.format(WALK.format("message.content")),
    "a pair of names": LOOP.format("{% for a, b in message.content %}{% endfor %}"),
    "two names of messages": "{% for a, b in messages %}{% endfor %}" + LOOP.format(WALK.format("message.content")),
    "a chosen content": LOOP.format(WALK.format("(message.content if message.content else [])")),
    "a macro": SHOW + LOOP.format("{{ show(message.content) }}"),
    "a macro with a word": SHOW + LOOP.format("{{ show(parts=message.content) }}"),
    "a macro with another word": SHOW + LOOP.format("{{ show(other=message.content) }}"),
    "a macro that is given nothing of it": SHOW + LOOP.format("{{ show(1) }}"),
    "a macro's own name": "{% macro show(content) %}" + WALK.format("content") + "{% endmacro %}{{ show(2) }}",
    "a macro that isn't called": "{% macro show(message) %}" + WALK.format("message.content") + "{% endmacro %}",
    "a generation": LOOP.format("{% generation %}" + WALK.format("message.content") + "{% endgeneration %}"),
    "a filter block": LOOP.format("{% filter trim %}" + WALK.format("message.content") + "{% endfilter %}"),
    "no walk": LOOP.format("{{ message.content }}"),
}


def takes_parts_in_vllm(template: str) -> bool:
    return hf._detect_content_format(template, default="string") == "openai"


@pytest.mark.parametrize("template", WRITTEN.values(), ids=WRITTEN)
def test_a_walk_through_parts_is_seen_where_vllm_sees_one(template: str) -> None:
    assert ChatTemplate(template).takes_parts is takes_parts_in_vllm(template)


def test_the_templates_of_both_kinds_are_told_apart() -> None:
    assert {ChatTemplate(template).takes_parts for template in WRITTEN.values()} == {True, False}


@pytest.mark.parametrize(
    "template",
    [
        *templates.TRAINABLE.values(),
        *templates.ALSO_TRAINABLE.values(),
        *(template for template, _ in templates.REFUSED.values()),
        *(file.read_text() for file in PUBLISHED),
    ],
)
def test_whole_templates_are_read_as_vllm_reads_them(template: str) -> None:
    assert ChatTemplate(template).takes_parts is takes_parts_in_vllm(template)


NAMES = st.sampled_from(["messages", "turns", "message", "content", "parts", "documents"])
VALUES = st.builds(
    lambda name, access, end: name + access + end,
    NAMES,
    st.sampled_from(["", "[0]", "[1:]", ".content", "['content']", "[0].content", ".text", ".content[0]"]),
    st.sampled_from(["", " | list", " is string", "[1:]", " or []"]),
)
TARGETS = st.sampled_from(["message", "turn", "part", "content", "a, b"])
LEAVES = st.one_of(
    st.builds("{{{{ {} }}}}".format, VALUES),
    # Names on the right that aren't on the left: vLLM's detection never ends where two are assigned in a circle.
    st.builds(
        "{{% set {} = {} %}}".format,
        st.sampled_from(["first", "ns.first", "second"]),
        VALUES.filter(lambda value: not value.startswith("second")),
    ),
    st.builds("{{% set second = first{} %}}".format, st.sampled_from(["", "[1:]", ".content"])),
    st.builds("{{{{ show({}) }}}}".format, VALUES),
    st.builds("{{{{ show({}={}) }}}}".format, st.sampled_from(["content", "parts", "other"]), VALUES),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("{{% for {} in {} %}}{}{{% endfor %}}".format, TARGETS, st.one_of(VALUES, st.just("second")), inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, VALUES, inner),
        st.builds("{{% macro show({}) %}}{}{{% endmacro %}}".format, st.sampled_from(["content", "a, parts"]), inner),
        st.lists(inner, min_size=2, max_size=3).map("".join),
    ),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(TREES)
@example(
    "{% set second = messages %}{% for message in second %}{% for a, b in message.content %}{% endfor %}{% endfor %}"
)
def test_any_template_is_read_as_vllm_reads_it(template: str) -> None:
    assert ChatTemplate(template).takes_parts is takes_parts_in_vllm(template)
