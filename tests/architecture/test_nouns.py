"""A noun asks another noun's service, never its repository. An exception stands here, with its reason."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, modules

REPOSITORY = re.compile(r"gateway\.(\w+)\.repository")
EXCEPTIONS = {
    "gateway/administration/service.py": "the API of tenants and keys, apart from what everybody reads of them",
    "gateway/adapters/import_job.py": "a tenant's name is a look-up without a service of its own",
    "gateway/fine_tuning/job_inputs.py": "a tenant's name is a look-up without a service of its own",
}


def _foreign(module: Module) -> Iterator[str]:
    own = module.path.split("/")[1]
    for node in ast.walk(module.tree):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            match = REPOSITORY.match(name)
            if match and match.group(1) != own:
                yield name


def test_a_noun_asks_another_nouns_service() -> None:
    users = {module.path for module in modules() if module.path.startswith("gateway/") and list(_foreign(module))}
    assert users == set(EXCEPTIONS)


def test_the_check_sees_a_foreign_repository() -> None:
    module = Module.of("from gateway.files.repository import FileRepository\n", "gateway/chat/routes.py")
    assert list(_foreign(module)) == ["gateway.files.repository"]
