"""House rules on the source. An exception stands in `ruled.py`, with its reason, or it isn't one."""

import pytest

from tests.architecture import function_names, name_rules, rules
from tests.architecture.code_size import count_code_lines
from tests.architecture.rates import find_rates
from tests.architecture.ruled import RULES, Rule, breaches
from tests.architecture.source import Module, modules, read

EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)


@EACH
def test_nothing_breaks_the_rule(rule: Rule) -> None:
    assert breaches(rule) - set(rule.reasons) == set()


@EACH
def test_every_exception_is_still_needed(rule: Rule) -> None:
    assert set(rule.reasons) - breaches(rule) == set()


@EACH
def test_the_check_sees_what_breaks_the_rule(rule: Rule) -> None:
    assert rule.check(rule.broken)


def test_a_class_is_no_participle_either() -> None:
    assert name_rules.participles(Module.of("class _Stored: ...\nclass StoredBytes: ...\n")) == {
        "gateway/example.py:_Stored"
    }


def test_an_alias_of_a_type_is_named_after_an_idea_as_a_class_is() -> None:
    assert name_rules.vague_names(Module.of("ForManager = Annotated[Service, None]\nMANAGER = 1\n")) == {
        "gateway/example.py:for_manager"
    }


@pytest.mark.parametrize(
    "text",
    [
        "Judged = Literal['facts', 'voice']",
        "_SHOWN = 20",
        "def f(learnt): ...",
        "class A:\n    def f(self):\n        self._heard = self.loop.time()",
        "class Tokenized(Event): ...",
        "left = 3",
        "started = time.monotonic()",
    ],
)
def test_a_participle_is_seen_however_it_is_spelled(text: str) -> None:
    assert name_rules.participles(Module.of(f"{text}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "def f(*, counted: bool = True): ...",
        "class A:\n    def f(self):\n        self.heard = False",
        "class A:\n    def f(self):\n        self._heard = False",
        "class A:\n    _counted: bool",
        "joined = mark.lower() == 'yes'",
        "left, right = ends",
        "class Row:\n    learnt: int",
        "class JudgedText: ...",
        "rows_left = 3",
    ],
)
def test_a_flag_a_side_and_a_published_member_may_be_participles(text: str) -> None:
    assert not name_rules.participles(Module.of(f"{text}\n"))


def test_a_member_of_the_api_may_be_a_participle() -> None:
    text = "class Passage:\n    cited: int\n    spelled: str\n"
    assert name_rules.participles(Module.of(text)) == {"gateway/example.py:spelled"}
    assert name_rules.participles(Module.of(f"{text}cited = 1\n")) > {"gateway/example.py:spelled"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('def f():\n    """Facts are right, unlike the voice."""', False),
        ('def f():\n    """Find the voice of a reply."""', True),
        ('class A:\n    @property\n    def text(self):\n        """Return the whole text."""', False),
        ('class A:\n    @property\n    def text(self):\n        """The whole text."""', True),
        ('"""Take two files out of an archive."""', False),
        ('"""Two files in an archive."""', True),
    ],
)
def test_a_docstring_says_what_a_function_does_and_what_a_property_is(text: str, holds: bool) -> None:
    assert (not rules.moods(Module.of(f"{text}\n"))) == holds


@pytest.mark.parametrize(
    "text", ["The whole.", "0..1; 0 where none is.", "Those of a document.", "Like `load`, but later."]
)
def test_a_docstring_without_its_noun_is_a_fragment(text: str) -> None:
    assert rules.fragments(Module.of(f'"""{text}"""\n'))
    assert not rules.fragments(Module.of('"""The whole report of a gate."""\ndef f():\n    """See `g`."""\n'))


def test_every_verb_of_the_list_begins_a_name() -> None:
    assert function_names.unused_verbs() == set()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("def find_row(): ...", True),
        ("def to_row(): ...", True),
        ("def state_of(row): ...", True),
        ("def fits(row) -> bool: ...", True),
        ("def fits(row) -> int: ...", False),
        ("def row(): ...", False),
        ("def _row(): ...", True),
        ("class Row:\n    @property\n    def title(self): ...", True),
        ("class Row:\n    def title(self): ...", False),
        ("class Row:\n    @classmethod\n    def empty(cls): return cls()", True),
        ("class Row:\n    @classmethod\n    def empty(cls): return 1", False),
        ("@contextmanager\ndef row(): yield", True),
        ("@router.get('/')\ndef row(): ...", True),
    ],
)
def test_a_function_is_a_verb(text: str, holds: bool) -> None:
    assert (not function_names.nouns_for_functions(Module.of(f"{text}\n"))) == holds


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("It writes 900 tokens", "second."),
        ("at most 20 requests", "minute on one core"),
        ("rows", "step"),
        ("how many small requests", "page, and"),
        ("one product", "adapter"),
        ("3.4 ms", "request"),
        ("10 MiB", "second;"),
        ("# bytes\n#", "row\n"),
        ("the mean loss", "reply token, of each step"),
        ("a line", "step"),
    ],
)
def test_a_rate_with_a_is_seen(before: str, behind: str) -> None:
    assert find_rates(f"{before} a {behind}")


@pytest.mark.parametrize(
    "text",
    [
        "900 tokens per second",
        "It answers a request.",
        "the seconds a step takes",
        "several times a day",
        "some words in a row",
        "the rows a second time",
        "two replicas of a tenant",
        "One process asks a question.",
        "as many as a page",
        "31 months. A token",
        "It takes a minute, and begins a job.",
        "half a minute",
        "A text is a reply.",
    ],
)
def test_ordinary_english_is_no_rate(text: str) -> None:
    assert not find_rates(text)


def test_tests_have_as_many_lines_of_code_as_the_packages() -> None:
    of_tests, of_packages = count_code_lines(read("tests")), count_code_lines(modules())
    assert of_tests >= of_packages, f"{of_tests} lines of tests to {of_packages} of the packages"


def test_only_lines_of_code_are_counted() -> None:
    text = '''"""A module,
on two lines."""

import os  # counts

SIZE = 1
"""A constant."""


# A comment.
def size() -> str:
    """A function."""
    # Another one.
    return """of
text"""
'''
    assert count_code_lines([Module.of(text), Module.of("")]) == 5
