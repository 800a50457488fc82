"""A name that another module imports is listed in `__all__`, and a public class is the only one of its name."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.architecture.source import Module, modules

# Names of several classes, and why no reader takes one for the other.
SHARED_NAMES = {
    "Message": "the strands never import each other: as prompts lay it out, as an engine takes it, and as a row has it",
    "Repository": "the role in each room; a source's kind is called so in the API's description, and only there",
}


def _unlisted(all_modules: Sequence[Module]) -> Iterator[str]:
    listed = {_dotted(module): _listed(module) for module in all_modules}
    for module in all_modules:
        for node in module.nodes(ast.ImportFrom):
            if node.module not in listed:
                continue
            for name in (alias.name for alias in node.names):
                if name not in listed[node.module] and f"{node.module}.{name}" not in listed:
                    yield f"{module.path}: {node.module}.{name}"


def _dotted(module: Module) -> str:
    return module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _listed(module: Module) -> set[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_a_name_that_another_module_takes_is_public() -> None:
    assert list(_unlisted(modules())) == []


def test_the_check_sees_a_name_that_is_not_listed() -> None:
    source = Module.of('__all__ = ["a"]\na = b = 1\n', "gateway/one.py")
    user = Module.of("from gateway.one import a, b\n", "gateway/two.py")
    assert list(_unlisted([source, user])) == ["gateway/two.py: gateway.one.b"]


def _shared(all_modules: Sequence[Module]) -> set[str]:
    """Return the names of public classes that several modules define."""
    places: dict[str, set[str]] = defaultdict(set)
    for module in all_modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(module.path)
    return {name for name, paths in places.items() if len(paths) > 1}


def test_a_public_class_is_the_only_one_of_its_name() -> None:
    assert _shared(modules()) == SHARED_NAMES.keys()


def test_the_check_sees_two_classes_of_one_name() -> None:
    paths = ("gateway/one.py", "training/two.py")
    assert _shared([Module.of("class Turn: ...\nclass _Row: ...\n", path) for path in paths]) == {"Turn"}
