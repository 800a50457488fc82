"""A noun asks another noun's service, never its repository. An exception stands here, with its reason."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules

REPOSITORY = re.compile(r"gateway\.(\w+)\.\w*repository\b")
EXCEPTIONS = {
    "gateway/administration/service.py": "the API of tenants and keys, apart from what everybody reads of them",
    "gateway/answers/service.py": "a tenant's setting is a look-up without a service of its own",
    "gateway/adapters/import_job.py": "a tenant's name is a look-up without a service of its own",
    "gateway/cli/doctor/documents.py": "`braid doctor` reads the database where no gateway runs, and so no service",
    "gateway/composition/parts.py": "the base model that engines serve is announced or read once per process",
    "gateway/composition/stored.py": "one sum serves every noun whose bytes count as a tenant's storage",
    "gateway/stack/second_retriever.py": "`braid up` reads the one open move before any service is there",
    "gateway/sources/schedule.py": "a tenant's name is a look-up without a service of its own",
    "gateway/sources/sync_job.py": "a tenant's name is a look-up without a service of its own",
    "gateway/fine_tuning/job_inputs.py": "a tenant's name is a look-up without a service of its own",
}


def _foreign(module: Module) -> Iterator[str]:
    own = module.path.split("/")[1]
    for node in module.nodes(ast.Import, ast.ImportFrom):
        package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            match = REPOSITORY.match(package + alias.name)
            if match and match.group(1) != own:
                yield match.group()


def test_a_noun_asks_another_nouns_service() -> None:
    users = {module.path for module in modules() if module.path.startswith("gateway/") and list(_foreign(module))}
    assert users == set(EXCEPTIONS)


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
    assert list(_foreign(Module.of(line, "gateway/chat/routes.py"))) == ["gateway.files.repository"]
    assert list(_foreign(Module.of(line, "gateway/files/service.py"))) == []
