import time

import pytest

import prompts
from prompts import TemplateFailed, TemplateInvalid

ATTACKS = [
    # walks over Python's objects
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ()|attr('__class__') }}",
    "{{ x|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ x|map(attribute='__class__')|first }}",
    "{{ [x]|groupby('__class__') }}",
    "{{ x.__init__.__globals__ }}",
    "{{ x['__in' 'it__'] }}",
    "{{ x['__in' ~ 'it__'] }}",
    "{{ x[['__class__']|join] }}",
    "{{ x[['__class__']|first] }}",
    "{{ x[k] }}",
    "{{ x.upper }}",
    "{{ x.upper() }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ super.__class__ }}",
    "{{ super._context }}",
    "{{ super['_con' 'text'] }}",
    "{{ super[k] }}",
    "{{ range }}",
    "{{ range.mro() }}",
    "{{ range[k] }}",
    "{% for i in range(1) %}{{ loop.__class__ }}{% endfor %}",
    "{% for i in range(1) %}{{ loop[k] }}{% endfor %}",
    "{% for i in range(1) %}{{ loop._undefined }}{% endfor %}",
    "{% for i in range(1) %}{{ loop.cycle.__func__ }}{% endfor %}",
    "{{ missing.__class__ }}",
    # the gadgets that Jinja gives by itself
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ lipsum() }}",
    "{{ dict(a=1) }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ url_for.__globals__ }}",
    # format strings
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__class__}'|format(x) }}",
    "{{ '%s'|format(x) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ x.format_map({}) }}",
    # other files and other statements
    "{% include 'default' %}",
    "{% include '/etc/passwd' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% call range(1) %}x{% endcall %}",
    "{% set y = x %}",
    "{% set y %}{{ x }}{{ x }}{% endset %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with y = x %}{{ y }}{% endwith %}",
    "{% autoescape false %}{{ x }}{% endautoescape %}",
    "{% do x.append(1) %}",
    "{% debug %}",
    # time and memory
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9**9**9 }}",
    "{{ x ~ x }}",
    "{{ x + x }}",
    "{{ range(10**9) }}",
    "{{ range(1000000000)|join }}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for i in range(99999999999999999999999) %}x{% endfor %}",
    "{% for i in range(201) %}x{% endfor %}",
    "{% for i in range(99) %}{% for j in range(99) %}x{% endfor %}{% endfor %}",
    "{% for i in x recursive %}{{ loop(x) }}{% endfor %}",
    "{% for i in x %}{{ i }}{% endfor %}",
    "{% for i in range(200) %}" + "{{ e }}" * 4000 + "{% endfor %}",
    "{{ x|center(1000000000) }}",
    "{{ x|indent(1000000000) }}",
    "{{ x|replace('x', 'xxxxxxxx') }}",
    "{{ x|join(x) }}",
    "{{ many|join('" + "-" * 9000 + "') }}",
    "{{ x|list }}",
    "{{ x|wordwrap(1) }}",
    "{{ x|urlize }}",
    "{{ x|pprint }}",
    "{{ x|tojson }}",
    "{{ many }}",
    "{{ [x, x] }}",
    "{{ nothing }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ x" + ".y" * 5000 + " }}",
    "{{ " + "9" * 20000 + " }}",
    "{{ x" + "|upper" * 5000 + " }}",
    "{% if x %}" * 100 + "{% endif %}" * 100,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack[:60])
def test_attacks_are_refused_with_a_reason_and_fast(attack: str) -> None:
    values = {"x": "xxxx", "e": "", "k": "__class__", "many": ["m"] * 100, "nothing": None}
    started = time.process_time()
    with pytest.raises((TemplateInvalid, TemplateFailed)) as caught:
        prompts.compile(attack).render("system", values)
    # A runaway template takes minutes or all memory; this bound only tells these two apart.
    assert time.process_time() - started < 5
    assert caught.value.line is not None or "print less" in caught.value.message
    assert ";" in caught.value.message


def test_an_attack_in_a_variable_or_a_question_is_only_text() -> None:
    attack = "{{ ''.__class__ }}"
    assert prompts.compile("{{ x }}").render("system", {"x": attack}) == attack


def test_rendering_leaves_the_variables_alone() -> None:
    values = {"house": {"tones": ["dry"]}}
    prompts.compile("{% for t in house.tones %}{{ t }}{% endfor %}").render("system", values)
    assert values == {"house": {"tones": ["dry"]}}


def test_two_hundred_items_pass() -> None:
    assert prompts.compile("{% for i in range(200) %}x{% endfor %}").render("system", {}) == "x" * 200
