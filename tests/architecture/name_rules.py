"""House rules on names: each takes a module and returns the names in it that break the rule, as `path:name`."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, top_level_names

# Names that say what was done to a thing, or nothing at all, instead of what it is.
PARTICIPLES = frozenset(
    {
        *("said", "held", "kept", "made", "asked", "given", "found", "wanted", "shown", "taken", "stored", "told"),
        *("decoded", "known", "done", "chosen", "seen", "gone", "sent", "opened", "named", "written", "removed"),
        *("spelled", "adapted", "stated", "printed", "measured", "served", "cited", "lost", "trained"),
        *("carried", "ended", "heard", "checked", "judged", "scored", "joined", "marked", "counted", "rendered"),
        *("parsed", "learnt", "expected", "started", "left", "used", "changed", "composed", "prepared", "masked"),
        *("tokenized", "detokenized", "completed", "identified", "owned", "covered", "repeated", "ignored"),
        *("unframed", "unnoted", "listed", "described", "added"),
    }
)
# Members with these names are those of the API, of tables, and of reports: `done` of `total`.
PUBLIC_MEMBERS = frozenset(
    {"done", "cited", "lost", "stated", "expected", "learnt", "changed", "composed", "completed", "covered"}
)
PLACES_OF_TRAINING = ("training/", "gateway/fine_tuning/", "gateway/adapters/", "gateway/demo/")
VAGUE = re.compile(r"(^|_)(utils?|helpers?|misc|common|stuff|things?|impl|logic|various)(_|$)")
VAGUE_NOUN = re.compile(r"(^|_)(manager|core|shared|tools?)(_|$)")


def participles(module: Module) -> set[str]:
    """Variables, parameters, attributes, functions, classes and aliases whose whole name is a participle.

    A flag may be one, since it tells in which state a thing is, and `left` where it is the side that isn't `right`.
    """
    names = [*_variables(module), *(name for name in _members(module) if name not in PUBLIC_MEMBERS)]
    names += [node.name for node in module.nodes(ast.ClassDef)]
    may = _flags(module) | ({"left"} if "right" in names else set())
    # A migration stays as it was written.
    names = [] if "/migrations/scripts/" in module.path else names
    found = {name for name in names if _snake(name).strip("_") in PARTICIPLES and name.strip("_") not in may}
    return {f"{module.path}:{name}" for name in found}


def _flags(module: Module) -> set[str]:
    """Names that are annotated as booleans, or are set to true or false or to what a comparison tells."""
    flags: set[str] = set()
    for node in module.nodes(ast.AnnAssign, ast.arg):
        if node.annotation is not None and ast.unparse(node.annotation).startswith(("bool", "Mapped[bool]")):
            flags.add(node.arg if isinstance(node, ast.arg) else ast.unparse(node.target).removeprefix("self."))
    for node in module.nodes(ast.Assign):
        if _is_condition(node.value):
            flags |= {ast.unparse(target).removeprefix("self.") for target in node.targets}
    return {name.strip("_") for name in flags}


def _is_condition(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=bool()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return True
        case _:
            return False


def releases(module: Module) -> set[str]:
    """Functions that release something, by their names: the verb is to mean one thing beside the noun."""
    names = {function.name for function in module.functions()}
    return {f"{module.path}:{name}" for name in names if re.match(r"_*release(_(?!of)|$)", name)}


def bare_epochs(module: Module) -> set[str]:
    """Names of a store's index epoch that say only `epoch`, which is a pass over training data."""
    if module.path.startswith(PLACES_OF_TRAINING):
        return set()
    return {f"{module.path}:{name}" for name in _names(module) if name.strip("_") in {"epoch", "epochs"}}


def _names(module: Module) -> Iterator[str]:
    yield from _members(module)
    yield from _variables(module)


def _members(module: Module) -> Iterator[str]:
    yield from (node.id for node in _fields(module))
    yield from (node.attr for node in module.nodes(ast.Attribute) if isinstance(node.ctx, ast.Store))


def _fields(module: Module) -> list[ast.Name]:
    members = (member for node in module.nodes(ast.ClassDef) for member in node.body)
    targets = (member.target for member in members if isinstance(member, ast.AnnAssign))
    return [target for target in targets if isinstance(target, ast.Name)]


def _variables(module: Module) -> Iterator[str]:
    fields = set(_fields(module))
    yield from (node.id for node in module.nodes(ast.Name) if isinstance(node.ctx, ast.Store) and node not in fields)
    yield from (node.arg for node in module.nodes(ast.arg))
    yield from (node.name for node in module.functions())
    yield from (node.asname for node in module.nodes(ast.alias) if node.asname)
    yield from (node.name for node in module.nodes(ast.ExceptHandler, ast.MatchAs, ast.MatchStar) if node.name)


def vague_names(module: Module) -> set[str]:
    """Files, folders, classes and functions that are named after no idea."""
    nouns = module.path.removesuffix(".py").split("/")
    nouns += [_snake(node.name) for node in module.nodes(ast.ClassDef)]
    nouns += [_snake(name) for name in top_level_names(module) if _is_type(name)]
    names = nouns + [function.name for function in module.functions()]
    vague = {name for name in names if VAGUE.search(name)} | {name for name in nouns if VAGUE_NOUN.search(name)}
    return {f"{module.path}:{name}" for name in vague}


def _is_type(name: str) -> bool:
    """Tell whether a name is spelled as that of a class, as those of type aliases are."""
    return bool(re.fullmatch(r"_*(?:[A-Z]+[a-z0-9]+)+", name))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
