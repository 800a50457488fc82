"""What is encoded has structs in it, and no dataclass: one that is a member of a struct, or is read from JSON."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from tests.architecture.source import Module, modules

CODECS = {"convert", "decode", "Decoder", "encode", "to_builtins"}

Places = Mapping[str, set[str]]


def _dataclasses(all_modules: Sequence[Module]) -> Places:
    """Return the modules in which a class of this name is a dataclass."""
    places: dict[str, set[str]] = {}
    for module in all_modules:
        for node in module.nodes(ast.ClassDef):
            if any("dataclass" in ast.unparse(one) for one in node.decorator_list):
                places.setdefault(node.name, set()).add(_dotted(module))
    return places


def _dotted(module: Module) -> str:
    return module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _names(module: Module, dataclasses: Places) -> set[str]:
    """Return the names that mean a dataclass in a module: its own ones, and those that it imports."""
    own = {name for name, places in dataclasses.items() if _dotted(module) in places}
    for node in module.nodes(ast.ImportFrom):
        for alias in node.names:
            # A package gives names of its modules.
            if any(f"{place}.".startswith(f"{node.module}.") for place in dataclasses.get(alias.name, ())):
                own.add(alias.asname or alias.name)
    return own


def _encoded(module: Module) -> Iterator[ast.expr]:
    for node in module.nodes(ast.ClassDef):
        if any("Struct" in ast.unparse(base) for base in node.bases):
            yield from (member.annotation for member in node.body if isinstance(member, ast.AnnAssign))
    for call in module.nodes(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr in CODECS and "msgspec" in ast.unparse(call.func):
            yield from (*call.args, *(keyword.value for keyword in call.keywords))


def _breaches(module: Module, dataclasses: Places) -> set[str]:
    names = _names(module, dataclasses)
    if not names:
        return set()
    parts = (part for node in _encoded(module) for part in ast.walk(node) if isinstance(part, ast.Name))
    return {f"{module.path}: {part.id}" for part in parts if part.id in names}


def test_what_is_encoded_has_no_dataclass_in_it() -> None:
    dataclasses = _dataclasses(modules())
    assert set().union(*(_breaches(module, dataclasses) for module in modules())) == set()


def test_the_check_sees_a_dataclass_in_a_struct_and_one_that_is_read() -> None:
    one = Module.of("@dataclass(frozen=True)\nclass Pair: ...\n", "gateway/room/one.py")
    takes = "from gateway.room import Pair as Two\n"
    for text in ("class Row(msgspec.Struct):\n    pairs: list[Two]\n", "msgspec.json.decode(data, type=Two)\n"):
        other = Module.of(takes + text, "gateway/other.py")
        assert _breaches(other, _dataclasses([one, other])) == {"gateway/other.py: Two"}
    homonym = Module.of("class Pair(msgspec.Struct): ...\nmsgspec.convert(data, Pair)\n", "gateway/other.py")
    assert _breaches(homonym, _dataclasses([one, homonym])) == set()
