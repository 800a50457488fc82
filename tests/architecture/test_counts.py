"""A number of things in a message has the noun that fits it: `1 row`, and never `1 rows`."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from tests.architecture.source import Module, read

PLURAL = re.compile(r" (?:[a-z]+ )?[a-z]+s\b")
SEVERAL = {
    "gateway/adapters/archive.py": "more than one, or than a limit",
    "gateway/answers/service.py": "more than a limit",
    "gateway/cli/docs_migrate.py": "more than a limit",
    "gateway/client/documents.py": "a name that several stores have",
    "gateway/conversations/checks.py": "languages that are mixed",
    "gateway/demo/runner.py": "the demo's own documents",
    "gateway/engines/client.py": "tokens of a text, for the log",
    "gateway/evaluation/label_rows.py": "a table's columns, of which two are needed",
    "gateway/evaluation_jobs/service.py": "more than a limit",
    "gateway/files/part_service.py": "bytes of a part",
    "gateway/prompts/variables.py": "more than a limit",
}
"""Where a number that is counted is never 1, and why."""


def _find_bare_counts(module: Module) -> Iterator[str]:
    """Give the f-strings in which something that is counted there and then stands before a plural.

    Of `3 of 5 rows` the noun belongs to the whole, which has its own sentence where it is one.
    """
    for text in module.nodes(ast.JoinedStr):
        before = ""
        for value, after in pairwise(text.values):
            is_count = isinstance(value, ast.FormattedValue) and _counts(value.value) and not before.endswith(" of ")
            if is_count and isinstance(after, ast.Constant) and PLURAL.match(str(after.value)):
                yield f"{module.path}: {ast.unparse(text)}"
            before = str(value.value) if isinstance(value, ast.Constant) else ""


def _counts(node: ast.expr) -> bool:
    called = {one.func.id for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)}
    return bool(called & {"len", "sum"}) and "format_count" not in called


def test_what_is_counted_has_the_noun_that_fits() -> None:
    found = [one for module in read("gateway") for one in _find_bare_counts(module)]
    assert [one for one in found if one.partition(":")[0] not in SEVERAL] == []
    assert {one.partition(":")[0] for one in found} == set(SEVERAL)  # each exception is still one


def test_the_check_sees_a_number_before_a_plural() -> None:
    for text, bare in (
        ('f"the last {len(a)} trainings"', True),
        ('f"{len(a) + 1:,} more rows"', True),
        ("f\"{format_count(len(a), 'row')} is\"", False),
        ('f"3 of {len(a)} rows"', False),
        ('f"{len(a)} in all"', False),
    ):
        assert bool(list(_find_bare_counts(Module.of(text)))) == bare, text
