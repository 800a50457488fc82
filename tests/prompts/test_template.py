import hashlib
import random

import pytest

import prompts
from prompts import TemplateFailed, TemplateInvalid
from prompts._sandbox import REQUEST_VARIABLES
from prompts._syntax import BLOCKS
from prompts.template import OWN_CHARACTERS, Template

PASSAGES = [{"number": 1, "title": "Prices", "text": "49 euros"}, {"number": 2, "title": "", "text": "1.7 litres"}]


def evidence(template: Template, **variables: object) -> str:
    return "".join(piece for _, piece in template.render_evidence(variables, PASSAGES)).strip()


def test_a_source_without_blocks_is_the_system_block() -> None:
    template = prompts.compile("Answer as {{ brand }}.\n")
    assert template.render("system", {"brand": "Kestrel"}) == "Answer as Kestrel."
    assert template.variables == {"brand"}


def test_blocks_left_out_come_from_the_default() -> None:
    template = prompts.compile("{% block question %}Q: {{ question }}{% endblock %}")
    default = prompts.compile(prompts.DEFAULT)
    assert template.render("question", {"question": "Why?"}) == "Q: Why?"
    assert template.render("system", {}) == default.render("system", {}) != ""
    assert evidence(template, cite=True) == evidence(default, cite=True)


def test_super_is_the_default_text() -> None:
    template = prompts.compile("{% block system %}{{ super() }} Be brief.{% endblock %}")
    assert template.render("system", {}) == prompts.compile(prompts.DEFAULT).render("system", {}) + " Be brief."


def test_super_carries_the_passages_of_the_default() -> None:
    template = prompts.compile("{% block evidence %}Sources for {{ brand }}\n{{ super() }}{% endblock %}")
    assert "[2] 1.7 litres" in evidence(template, brand="Kestrel", cite=False)


def test_digest_is_the_sha256_of_the_source() -> None:
    assert prompts.compile("Grüße").digest == hashlib.sha256("Grüße".encode()).hexdigest()


def test_variables_are_those_of_every_block_without_the_requests_own() -> None:
    template = prompts.compile(
        "{% block system %}{{ brand }}{% for t in tones %}{{ t }}{% endfor %}{% endblock %}"
        "{% block question %}{% if cite %}{{ question }}{% endif %}{{ sign | default('x') }}{% endblock %}"
    )
    assert template.variables == {"brand", "tones", "sign"}


def test_a_missing_variable_is_named_with_its_line_and_what_may_stand_there() -> None:
    template = prompts.compile("One.\nTwo {{ brand }}.")
    with pytest.raises(TemplateFailed, match="line 2: the variable 'brand' has no value") as caught:
        template.render("system", {})
    assert caught.value.line == 2
    assert "use passages, question, cite, instructions in the blocks that have them" in caught.value.message
    assert "{{ brand | default('…') }}" in caught.value.message
    assert "in the variables of the release or the job" in caught.value.message


@pytest.mark.parametrize("line", [1, 2, 3, 5])
def test_a_fault_has_its_own_line_whatever_stands_below(line: int) -> None:
    lines = ["{{ a }}", "{{ a }}", "{{ a }}", "", "{{ a }}"]
    lines[line - 1] = "{{ brand }}"
    with pytest.raises(TemplateFailed) as caught:
        prompts.compile("\n".join(lines)).render("system", {"a": 1})
    assert caught.value.line == line


def test_the_names_in_the_advice_are_those_that_the_blocks_have() -> None:
    assert set().union(*BLOCKS.values()) == set(REQUEST_VARIABLES)


@pytest.mark.parametrize(
    "use", ["{{ brand.name }}", "{{ brand['name'] }}", "{{ brand | upper }}", "{% if brand %}x{% endif %}"]
)
def test_every_use_of_a_missing_variable_fails(use: str) -> None:
    with pytest.raises(TemplateFailed, match="'brand' has no value"):
        prompts.compile(use).render("system", {})


def test_an_optional_variable_needs_no_value() -> None:
    assert prompts.compile("{{ brand | default('Ours') }}").render("system", {}) == "Ours"
    assert prompts.compile("{% if brand is defined %}{{ brand }}{% endif %}").render("system", {}) == ""


def test_mappings_lists_and_filters_work() -> None:
    template = prompts.compile("{{ house.name | upper }}: {{ house['tones'] | join(', ') }}, {{ house.tones[0] }}")
    assert (
        template.render("system", {"house": {"name": "kestrel", "tones": ["dry", "warm"]}}) == "KESTREL: dry, warm, dry"
    )


def test_every_filter_and_test_that_is_offered_works() -> None:
    template = prompts.compile(
        "{{ 'ab cd' | truncate(4, true, '…', 0) }}|{{ tones | first | capitalize }}|{{ tones | last | title }}|"
        "{{ tones | length }}|{{ ' x ' | trim | upper | lower }}|{{ nothing | default('none', true) }}|"
        "{{ 4 is divisibleby(2) }}|{{ tones[0][:2] }}"
    )
    values = {"tones": ["dry wit", "warm heart"], "nothing": None}
    assert template.render("system", values) == "ab …|Dry wit|Warm Heart|2|x|none|True|dr"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(TemplateFailed, match="there is no 'nmae' in this dict"):
        prompts.compile("{{ house.nmae }}").render("system", {"house": {"name": "kestrel"}})


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ("{{ tones[9] }}", "there is no '9' in this list"),
        ("{{ tones[0:'a'] }}", "kinds that belong together"),
        ("{{ tones | join(tones) }}", "a list can't be printed"),
        ("{{ house | join }}", "a mapping is not a list"),
        ("{% for letter in brand %}x{% endfor %}", "a text is not a list"),
        ("{{ many | join }}", "may have 200 items"),
        ("{{ long | join }}", "may make 65536 characters"),
        ("{{ nothing }}", "a NoneType can't be printed"),
        ("{% if brand < 3 %}x{% endif %}", "kinds that belong together"),
    ],
)
def test_a_value_of_the_wrong_kind_or_size_fails_with_its_line(use: str, reason: str) -> None:
    values = {
        "tones": ["dry"],
        "house": {"name": "kestrel"},
        "brand": "Kestrel",
        "many": ["m"] * 201,
        "long": ["m" * 40_000] * 2,
        "nothing": None,
    }
    with pytest.raises(TemplateFailed, match=reason) as caught:
        prompts.compile(f"One.\n{use}").render("system", values)
    assert caught.value.line == 2


@pytest.mark.parametrize("name", ["question", "passages", "cite"])
def test_the_system_block_must_not_change_with_the_request(name: str) -> None:
    with pytest.raises(TemplateInvalid, match=rf"line 3: the block system can't use '{name}'.*prefix cache"):
        prompts.compile(f"{{% block system %}}\n\n{{% if {name} %}}x{{% endif %}}{{% endblock %}}")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("{% block system %}x{% endblock %}\n\nstray", 3, "outside the blocks"),
        ("{% block system %}x{% endblock %}\n{{ brand }}", 2, "outside the blocks"),
        ("{% block system %}x{% endblock %}\n{% if a %}{% endif %}", 2, "outside the blocks"),
        ("{% block sytem %}x{% endblock %}", 1, "no block 'sytem'"),
        ("{% block system %}x{% endblock %}\n{% block system %}y{% endblock %}", 2, "twice"),
        ("{% block evidence %}\n{% block question %}{{ question }}{% endblock %}{% endblock %}", 2, "side by side"),
        ("{% block evidence %}nothing{% endblock %}", 1, "never uses 'passages'"),
        ("{% block question %}nothing{% endblock %}", 1, "never uses 'question'"),
        ("{% block evidence %}\n{{ passages | length }}{% endblock %}", 2, "only be looped over"),
        ("{% block evidence %}{% for p in passages[:3] %}{{ p.text }}{% endfor %}{% endblock %}", 1, "only be looped"),
        ("{% block evidence %}{% for p in passages %}\n{{ loop.last }}{% endfor %}{% endblock %}", 2, "loop.last"),
        (
            "{% block evidence %}{% for p in passages %}{{ question }}{% endfor %}{% endblock %}",
            1,
            "can't use 'question'",
        ),
        ("a\n{% if %}", 2, "correct the template"),
        ("a\n{{ brand", 2, "correct the template"),
        ("a\n{% nonsense %}", 2, "correct the template"),
        ("{% for loop in tones %}{% endfor %}", 1, "correct the template"),
        ("a\n{{ brand | reverse }}", 2, "no filter 'reverse'"),
        ("a\n{{ brand is sameas none }}", 2, "no test 'sameas'"),
        ("a\n{{ brand | default(value=1, value=2) }}", 2, "argument 'value' is there twice"),
        ("a\n\ud800", 2, "surrogate"),
    ],
)
def test_a_bad_source_is_refused_with_its_line(source: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateInvalid, match=reason) as caught:
        prompts.compile(source)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ missing | default(default_value='none', boolean=true) }}", "none"),
        ("{{ brand | truncate(length=5, killwords=true, end='…', leeway=0) }}", "Kest…"),
        ("{{ tones | join(d='/') }}", "kind/brief"),
    ],
)
def test_a_filters_arguments_may_be_named_each_once(source: str, text: str) -> None:
    variables = {"brand": "Kestrel", "tones": ["kind", "brief"]}
    assert prompts.compile(source).render("system", variables) == text


def test_what_join_makes_is_bounded_with_what_stands_between_the_items() -> None:
    template = prompts.compile("{{ tones | join(brand) }}")
    tones = ["a", "b", "c"]
    assert len(template.render("system", {"tones": tones, "brand": "x" * 32_766})) == 65_535
    with pytest.raises(TemplateFailed, match="this makes 65537"):
        template.render("system", {"tones": tones, "brand": "x" * 32_767})


def test_lines_of_conditions_alone_leave_no_empty_lines() -> None:
    template = prompts.compile("One.\n  {% if a %}\nTwo.\n  {% endif %}\nThree.")
    assert template.render("system", {"a": 1}) == "One.\nTwo.\nThree."


def test_the_source_has_a_limit() -> None:
    assert prompts.compile("x" * 32_768).render("system", {}) == "x" * 32_768
    with pytest.raises(TemplateInvalid, match="may have 32768"):
        prompts.compile("x" * 32_769)


def test_the_result_has_a_limit_that_grows_with_the_request() -> None:
    template = prompts.compile("{% block question %}{% for n in range(200) %}{{ question }}{% endfor %}{% endblock %}")
    assert len(template.render("question", {"question": "x" * 300}, 300)) == 60_000
    with pytest.raises(TemplateFailed, match="print less in loops"):
        template.render("question", {"question": "x" * OWN_CHARACTERS}, OWN_CHARACTERS)


def test_a_long_question_is_no_fault_of_the_template() -> None:
    question = "x" * 1_000_000
    assert prompts.compile(prompts.DEFAULT).render("question", {"question": question}, len(question)) == question


@pytest.mark.parametrize(
    "block",
    [
        "{{ question }}",
        "\n  {{ question }}\n",
        "{{- question -}}",
        "{{ super() }}",
        "Q: {{ question }}",
        "{{ question | upper }}",
        "{{ question }} {{ question }}",
        "{% if cite %}{{ question }}{% endif %}",
    ],
)
@pytest.mark.parametrize("question", ["Why?", "  spaces around\n", "{{ 1 }}", ""])
def test_a_question_is_rendered_as_its_block_says(block: str, question: str) -> None:
    template = prompts.compile("{% block question %}" + block + "{% endblock %}")
    values = {"cite": True}
    rendered = template.render("question", values | {"question": question}, len(question))
    assert template.render_question(values, question) == rendered


def test_a_system_text_is_that_of_its_values() -> None:
    template = prompts.compile("{{ count }} {{ house | default('none') }}")
    for values in ({"count": 1}, {"count": "1"}, {"count": True}, {"count": 1.0}, {"count": 1, "house": "Kestrel"}):
        assert [template.render_system(values) for _ in range(2)] == [template.render("system", values)] * 2
    for number in range(100):
        assert template.render_system({"count": number}) == f"{number} none"
    with pytest.raises(prompts.TemplateFailed):
        template.render_system({"count": [1]})


def test_the_text_of_a_passage_is_never_a_template() -> None:
    template = prompts.compile(prompts.DEFAULT)
    text = "{{ 7 * 7 }} {% for x in range(9) %}!{% endfor %} {# gone? #}"
    pieces = template.render_evidence({"cite": True}, [{"number": 1, "title": "", "text": text}])
    assert text in "".join(piece for _, piece in pieces)


@pytest.mark.parametrize(
    "body",
    [
        "{% for p in passages %}[{{ p.number }}] {{ p.title }}: {{ p.text }}\n{% endfor %}Rules.",
        "{% for p in passages %}{% if not loop.first %}, {% endif %}{{ loop.index }} {{ p.title }}{% endfor %}"
        " and {% for p in passages if p.title %}{{ p.text }}{% else %}none{% endfor %}.",
    ],
)
def test_the_pieces_up_to_a_rank_are_the_block_with_only_these_passages(body: str) -> None:
    template = prompts.compile("{% block evidence %}" + body + "{% endblock %}")
    passages = [{"number": n, "title": "abc"[: n % 3], "text": f"text {n}"} for n in range(1, 8)]
    whole = template.render_evidence({}, passages)
    for rank in range(1, 8):
        alone = "".join(piece for _, piece in template.render_evidence({}, passages[:rank]))
        assert "".join(piece for at, piece in whole if at <= rank) == alone


FRAGMENTS = (
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "block",
        "endblock",
        "system",
        "evidence",
        "question",
        "passages",
        "for",
    ),
    *("in", "endfor", "if", "endif", "else", "elif", "range", "(", ")", "[", "]", "0", "9", "99999999999", ".", "|"),
    *("upper", "join", "default", "'a'", "loop", "self", "super", "()", "__class__", "set", "=", "a", "b", ",", "not"),
    *(
        "is",
        "defined",
        "and",
        "~",
        "*",
        "+",
        "%",
        "macro",
        "raw",
        "endraw",
        "\n",
        "true",
        "none",
        ":",
        "p",
        "text",
        "p.text",
    ),
)


def test_every_source_compiles_or_raises_one_of_two_errors() -> None:
    chance = random.Random(7)
    compiled = 0
    refusals: list[str] = []
    for _ in range(3000):
        body = " ".join(chance.choices(FRAGMENTS, k=chance.randint(1, 9)))
        shape = chance.choice(
            ["{}", "{{{{ {} }}}}", "{{% if {} %}}x{{% endif %}}", "{{% for p in {} %}}{{{{ p }}}}{{% endfor %}}"]
        )
        try:
            template = prompts.compile(shape.format(body))
            compiled += 1
            template.render("system", {"a": "x", "b": ["y", {"text": "z"}], "p": {"text": 3}})
        except (TemplateInvalid, TemplateFailed) as error:
            refusals.append(error.message)
    assert compiled > 300
    assert [message for message in refusals if ";" not in message and ":" not in message] == []


@pytest.mark.parametrize(
    ("source", "required"),
    [
        ("{{ a }} {{ b | default('x') }} {{ c | d('y') | upper }}", {"a"}),
        ("{% if a is defined %}{{ a }}{% endif %}{% if b is undefined %}x{% endif %}", set()),
        ("{{ a | default('x') }} {{ a }}", {"a"}),
        ("{{ a | upper | default('x') }}", {"a"}),
        ("{% for a in b %}{{ a.name }}{% endfor %}{% for n in c | default([]) %}{{ n }}{% endfor %}", {"b"}),
        ("{% block question %}{{ question }}{% if cite %}{{ a }}{% endif %}{% endblock %}", {"a"}),
        ("No names.", set()),
    ],
)
def test_the_names_that_a_template_cannot_do_without_are_known(source: str, required: set[str]) -> None:
    assert prompts.compile(source).required == required
