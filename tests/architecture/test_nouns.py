"""What a room may take of another one: its service, and not its repository or its tables. The demo is a user."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.architecture.source import Module, modules

ROWS = re.compile(r"gateway\.(\w+)\.(\w*repository|tables)\b")
EXCEPTIONS = {
    "gateway/administration/service.py < gateway.tenants.repository": "the API of what everybody else only reads",
    "gateway/administration/service.py < gateway.tenants.tables": "the API of what everybody else only reads",
    "gateway/cli/doctor/documents.py < gateway.vector_stores.index_migration_repository": "no gateway runs, or service",
    "gateway/composition/parts.py < gateway.engines.repository": "the base model is announced or read once per process",
    "gateway/composition/stored.py < gateway.tenants.repository": "one sum serves every noun that stores bytes",
    "gateway/stack/second_retriever.py < gateway.vector_stores.index_migration_repository": "no service is there yet",
}
# Rows that a room gives are listed in its package, or in its service where what needs no database is imported from the
# package too (adapters), and are types outside of it.
_BYTES = "one list of every noun's columns says what counts as storage"
ROW_EXCEPTIONS = {
    "gateway/administration/service.py: KeyRow": "the API of what everybody else only reads",
    "gateway/administration/service.py: TenantRow": "the API of what everybody else only reads",
    **{
        f"gateway/composition/stored.py: {row}": _BYTES
        for row in (
            *("AdapterRow", "ComparisonRow", "DiagnosisRow", "EvalRunRow", "EvaluationRow"),
            *("FeedbackRow", "FileRow", "FineTuningJobRow", "GateRow", "UploadRow"),
        )
    },
    "gateway/fine_tuning/epoch_checkpoints.py: AdapterRow": "a checkpoint becomes a row of that noun",
}
OF_THE_DEMO = {"client", "demo", "evaluation", "processes", "progress", "settings", "stack", "terminal"}


def _imports(module: Module) -> Iterator[str]:
    for node in module.nodes(ast.Import, ast.ImportFrom):
        package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        yield from (package + alias.name for alias in node.names)


def _foreign_rows(module: Module) -> set[str]:
    own = module.path.split("/")[1]
    matches = filter(None, map(ROWS.match, _imports(module)))
    return {f"{module.path} < {match.group()}" for match in matches if match.group(1) != own}


def _nouns() -> list[Module]:
    free = "gateway/migrations/"
    return [one for one in modules() if one.path.startswith("gateway/") and not one.path.startswith(free)]


def _foreign_values(module: Module) -> set[str]:
    """Rows of other rooms that are made or selected here: what stands in no annotation."""
    rooms = "|".join({path.split("/")[1] for path in _row_places().values()} - {module.path.split("/")[1]})
    foreign = {
        alias.asname or alias.name: alias.name
        for node in module.nodes(ast.ImportFrom)
        if re.match(rf"gateway\.({rooms})\b", node.module or "")
        for alias in node.names
        if alias.name in _row_places()
    }
    if not foreign:
        return set()
    types = {id(part) for annotation in _annotations(module) for part in ast.walk(annotation)}
    uses = (node.id for node in module.nodes(ast.Name) if node.id in foreign and id(node) not in types)
    return {f"{module.path}: {foreign[use]}" for use in uses}


@cache
def _row_places() -> dict[str, str]:
    tables = (module for module in _nouns() if module.name == "tables")
    return {node.name: module.path for module in tables for node in module.nodes(ast.ClassDef)}


def _annotations(module: Module) -> Iterator[ast.expr]:
    arguments = (node.annotation for node in module.nodes(ast.arg))
    results = (node.returns for node in module.functions())
    members = (node.annotation for node in module.nodes(ast.AnnAssign))
    yield from filter(None, (*arguments, *results, *members))


def test_a_noun_asks_another_nouns_service() -> None:
    assert set().union(*map(_foreign_rows, _nouns())) == set(EXCEPTIONS)


def test_rows_of_another_noun_are_types() -> None:
    assert set().union(*map(_foreign_values, _nouns())) == set(ROW_EXCEPTIONS)


def test_the_check_sees_what_is_more_than_a_type() -> None:
    taken = "from gateway.files import FileRow as Row\n"
    for text, uses in (
        ("def f(row: Row) -> list[Row]:\n    other: Row = row\n", set()),
        ("row = Row(id='x')\n", {"gateway/chat/routes.py: FileRow"}),
        ("query = select(Row)\n", {"gateway/chat/routes.py: FileRow"}),
    ):
        assert _foreign_values(Module.of(taken + text, "gateway/chat/routes.py")) == uses
        assert _foreign_values(Module.of(taken + text, "gateway/files/service.py")) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from gateway.files.repository import FileRepository",
        "from gateway.files import repository",
        "from gateway.files import repository as files",
        "import gateway.files.repository",
        "from gateway.files.repository import find_all",
    ],
)
def test_the_check_sees_a_foreign_repository(line: str) -> None:
    for text, rows in ((line, "repository"), (line.replace("repository", "tables"), "tables")):
        seen = _foreign_rows(Module.of(text, "gateway/chat/routes.py"))
        assert seen == {f"gateway/chat/routes.py < gateway.files.{rows}"}
        assert _foreign_rows(Module.of(text, "gateway/files/service.py")) == set()


def test_the_demo_is_a_user_of_the_client_and_the_evaluation() -> None:
    demo = [one for one in modules() if one.path.startswith("gateway/demo/")]
    rooms = {name.split(".")[1] for module in demo for name in _imports(module) if name.startswith("gateway.")}
    assert rooms == OF_THE_DEMO
