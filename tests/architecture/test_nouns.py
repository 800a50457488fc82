"""What a room may take of another one: its service, and not its repository or its tables. The demo is a user."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules

ROWS = re.compile(r"gateway\.(\w+)\.(\w*repository|tables)\b")
_ROW = "its service gives the row itself, locked, and a copy would only say the same again"
_NAME = "a tenant's name or setting is a look-up without a service of its own"
EXCEPTIONS = {
    "gateway/adapters/import_job.py < gateway.tenants.repository": _NAME,
    "gateway/administration/service.py < gateway.tenants.repository": "the API of what everybody else only reads",
    "gateway/administration/service.py < gateway.tenants.tables": "the API of what everybody else only reads",
    "gateway/advice/advisor.py < gateway.evaluation_jobs.tables": "an advice is an evaluation, run by its job",
    "gateway/answering/resolve.py < gateway.assistants.tables": _ROW,
    "gateway/answers/service.py < gateway.tenants.repository": _NAME,
    "gateway/cli/doctor/documents.py < gateway.vector_stores.index_migration_repository": "no gateway runs, or service",
    "gateway/composition/parts.py < gateway.engines.repository": "the base model is announced or read once per process",
    "gateway/composition/stored.py < gateway.adapters.tables": "one sum serves every noun whose bytes count as storage",
    "gateway/composition/stored.py < gateway.tenants.repository": "as above",
    "gateway/diagnoses/service.py < gateway.assistants.tables": _ROW,
    "gateway/fine_tuning/dataset.py < gateway.adapters.tables": _ROW,
    "gateway/fine_tuning/dataset.py < gateway.prompts.tables": _ROW,
    "gateway/fine_tuning/epoch_checkpoints.py < gateway.adapters.tables": "a checkpoint becomes a row of that noun",
    "gateway/fine_tuning/job_inputs.py < gateway.tenants.repository": _NAME,
    "gateway/fine_tuning/request.py < gateway.adapters.tables": _ROW,
    "gateway/fine_tuning/train_job.py < gateway.adapters.tables": _ROW,
    "gateway/gates/service.py < gateway.assistants.tables": _ROW,
    "gateway/sources/schedule.py < gateway.tenants.repository": _NAME,
    "gateway/sources/sync_job.py < gateway.tenants.repository": _NAME,
    "gateway/stack/second_retriever.py < gateway.vector_stores.index_migration_repository": "no service is there yet",
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


def test_a_noun_asks_another_nouns_service() -> None:
    nouns = [
        one for one in modules() if one.path.startswith("gateway/") and not one.path.startswith("gateway/migrations/")
    ]
    assert set().union(*map(_foreign_rows, nouns)) == set(EXCEPTIONS)


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
