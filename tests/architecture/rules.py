"""House rules that a program can check: each takes a module and returns what breaks the rule in it, as `path:what`."""

import ast
import re
from collections.abc import Iterable
from typing import Any, TypeGuard

from tests.architecture.function_names import PROSE_VERBS, VERBS
from tests.architecture.rates import find_rates
from tests.architecture.source import Module, length, top_level_names

ROLES = frozenset({"routes", "service", "repository", "tables", "schemas", "errors", "__init__", "__main__"})
CRUMB_LINES = 35
QUESTION_WORDS = frozenset({"what", "which", "how", "where", "why", "whatever", "whichever", "who", "whose"})
_ARGUMENT = re.compile(r" {4}\*{0,2}(\w+):")
_COMMENT_END = re.compile(r"(#[^\n]*)\n(?!\s*#)")
CUT_SHORT = re.compile(r"(^|_)(cant|dont|doesnt|didnt|isnt|arent|wasnt|wont|hasnt|havent|couldnt|\w+n_t)(_|$)")


def loose_dataclasses(module: Module) -> set[str]:
    """Dataclasses without slots, and those that could be frozen: nothing in their module sets a member."""
    members = {node.attr for node in module.nodes(ast.Attribute) if isinstance(node.ctx, ast.Store)}
    loose: set[str] = set()
    for node in module.nodes(ast.ClassDef):
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
            if not isinstance(call.func, ast.Name) or call.func.id != "dataclass":
                continue
            options = {one.arg for one in call.keywords if isinstance(one.value, ast.Constant) and one.value.value}
            own = {
                one.target.id
                for one in node.body
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            }
            if "slots" not in options or ("frozen" not in options and not own & members):
                loose.add(f"{module.path}:{node.name}")
    return loose


def stray_schemas(module: Module) -> set[str]:
    """Modules with pydantic models that aren't named after it."""
    if module.name == "settings" or module.name == "schemas" or module.name.endswith("_schemas"):
        return set()
    bases = (base for node in module.nodes(ast.ClassDef) for base in node.bases)
    return {module.path for base in bases if isinstance(base, ast.Name) and base.id in {"BaseModel", "BaseSettings"}}


def long_files(module: Module) -> set[str]:
    return {module.path} if module.lines > 400 else set()


def long_functions(module: Module) -> set[str]:
    return {f"{module.path}:{function.name}" for function in module.functions() if length(function) > 60}


def long_handlers(module: Module) -> set[str]:
    """Handlers that do more than parse, call and return."""
    if module.name != "routes" and not module.name.endswith("_routes"):
        return set()
    handlers = [one for one in module.functions() if any(map(_is_route, one.decorator_list))]
    return {f"{module.path}:{handler.name}" for handler in handlers if length(handler) > 12}


def _is_route(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"get", "post", "put", "delete", "patch"}
    )


def crumbs(module: Module) -> set[str]:
    """Files so short that they may be a page of another one."""
    role = module.name in ROLES or module.name.endswith(("_routes", "_schemas")) or "/migrations/" in module.path
    return {module.path} if module.lines < CRUMB_LINES and not role else set()


def inner_imports(module: Module) -> set[str]:
    # Those at the beginning of a line stand in no function, and most modules have no others.
    indented = {node for node in module.nodes(ast.Import, ast.ImportFrom) if node.col_offset}
    if not indented:
        return set()
    return {
        f"{module.path}:{function.name}"
        for function in module.functions()
        if any(node in indented for node in ast.walk(function))
    }


def globals_and_prints(module: Module) -> set[str]:
    """State reachable by import, and output that no command decided on."""
    breaches: set[str] = set()
    for node in module.nodes(ast.Global):
        breaches.add(f"{module.path}:global {', '.join(node.names)}")
    for node in module.nodes(ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("print", "pprint"):
            breaches.add(f"{module.path}:{node.func.id}")
    return breaches


def plain_gathers(module: Module) -> set[str]:
    """Functions that wait by `asyncio.gather` for results: when one fails, the others go on and nobody awaits them.

    With `return_exceptions` all are waited for.
    """
    imported = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "asyncio"
        and any(one.name == "gather" for one in node.names)
        for node in ast.walk(module.tree)
    )
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _is_gather(node.func)]
    plain = [node for node in calls if not any(one.arg == "return_exceptions" for one in node.keywords)]
    return {f"{module.path}:gather"} if imported or plain else set()


def _is_gather(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id="asyncio"), attr="gather"):
            return True
        case _:
            return False


def plain_timeouts(module: Module) -> set[str]:
    """Functions that bound a wait by `asyncio.timeout`, which is over after a standstill whatever has come in it."""
    return {
        f"{module.path}:{function.name}"
        for function in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _is_named(node.func, "timeout") and node.args
        if not (isinstance(node.args[0], ast.Constant) and node.args[0].value is None)
    }


def stdlib_logging(module: Module) -> set[str]:
    """Modules of the gateway that log by anything but structlog, which writes events that a program can read."""
    if not module.path.startswith("gateway/"):
        return set()
    names = {alias.name for node in module.nodes(ast.Import) for alias in node.names}
    names |= {node.module or "" for node in module.nodes(ast.ImportFrom)}
    return {module.path} if any(name.split(".")[0] == "logging" for name in names) else set()


def silent_modules(module: Module) -> set[str]:
    """Modules with public names that don't say in `__all__` which these are."""
    if module.name == "__main__" or "/migrations/" in module.path:
        return set()
    public = [name for name in top_level_names(module) if not name.startswith("_")]
    return {module.path} if public and "__all__" not in top_level_names(module) else set()


def double_backticks(module: Module) -> set[str]:
    """Markup of reStructuredText; one backtick is the house's."""
    return _prose(module, re.compile(r"(?<!`)``(?!`)"), (text for _, text in module.docstrings()))


def question_words(module: Module) -> set[str]:
    """Docstrings that begin as a question or a relative clause and so have no subject."""
    texts = [text for _, text in module.docstrings()]
    return {f"{module.path}:{_start(text)}" for text in texts if _first_word(text) in QUESTION_WORDS}


def loose_subjects(module: Module) -> set[str]:
    """Strings behind constants, settings and attributes that begin as a question or a relative clause."""
    words = QUESTION_WORDS | {"whether", "when", "if", "none"}
    return {f"{module.path}:{_start(text)}" for text in module.attribute_strings() if _first_word(text) in words}


def rates(module: Module) -> set[str]:
    """Rates that are said with "a" instead of "per"."""
    return {f"{module.path}:{rate}" for rate in find_rates(_COMMENT_END.sub(r"\1.\n", module.text))}


def functions_that_tell(module: Module) -> set[str]:
    """Docstrings of functions that begin with "Whether": only a property is what it tells."""
    return {
        f"{module.path}:{node.name}"
        for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        and (ast.get_docstring(node) or "").startswith("Whether ")
    }


def moods(module: Module) -> set[str]:
    """Docstrings of functions that begin with no verb, and those of modules and properties that do.

    A function is asked to do something, and a module or a property is something. `Answer` and `Work` are nouns as well.
    """
    verbs, nouns = VERBS | PROSE_VERBS, {"answer", "work"}
    unfit: set[str] = set()
    for node in module.nodes(ast.Module, ast.FunctionDef, ast.AsyncFunctionDef):
        word = _first_word(ast.get_docstring(node) or "")
        decorators = [] if isinstance(node, ast.Module) else [ast.unparse(one) for one in node.decorator_list]
        acts = not isinstance(node, ast.Module) and not any("property" in one for one in decorators)
        if word and (word not in verbs if acts else word in verbs - nouns):
            unfit.add(f"{module.path}:{_start(ast.get_docstring(node) or '')}")
    return unfit


def fragments(module: Module) -> set[str]:
    """Docstrings that are no sentence: of one or two words, or without the noun that they are about."""
    texts = [" ".join(text.split("\n\n")[0].split()) for _, text in module.docstrings()]
    return {
        f"{module.path}:{_start(text)}"
        for text in texts
        if re.match(r"\d|(?:Those|Like|Also|Likewise|Same)\b", text) or (text.count(" ") < 2 and text[:4] != "See ")
    }


def _start(text: str) -> str:
    return " ".join(text.split())[:40]


def _first_word(text: str) -> str:
    return re.split(r"[^a-z]", text.lower())[0]


def spelled_out(module: Module) -> set[str]:
    """Prose with "cannot", where the house says "can't"."""
    return _prose(module, re.compile(r"\bcannot\b", re.IGNORECASE), module.strings())


def _prose(module: Module, pattern: re.Pattern[str], texts: Iterable[str]) -> set[str]:
    """What a pattern finds in some texts of a module and in its comments, with the words before it."""
    if not pattern.search(module.text):
        return set()
    found = [text[: match.end()] for text in [*texts, *module.comments()] for match in pattern.finditer(text)]
    return {f"{module.path}:{' '.join(text.split())[-40:]}" for text in found}


def cut_short(module: Module) -> set[str]:
    """Names of tests with a contraction, where the house spells out: `cannot`, `does_not`."""
    # A look at the text spares parsing all tests: a function's name stands behind `def`.
    if not any(map(CUT_SHORT.search, re.findall(r"\bdef\s+(\w+)", module.text))):
        return set()
    return {f"{module.path}:{one.name}" for one in module.functions() if CUT_SHORT.search(one.name)}


def behind_main(module: Module) -> set[str]:
    """Modules with statements behind the block that runs them as a program: it runs before those exist."""
    if "__main__" not in module.text:  # spares parsing all others
        return set()
    last = module.tree.body[-1:]
    starts = [node for node in module.tree.body if isinstance(node, ast.If) and _is_main(node.test)]
    return {module.path} if starts and starts[:1] != last else set()


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and ast.unparse(test) == "__name__ == '__main__'"


STARTS = frozenset({"create_subprocess_exec", "create_subprocess_shell", "Popen"})
RUNS = frozenset({"run", "call", "check_call", "check_output", "getoutput"})


def inherited_environments(module: Module) -> set[str]:
    """Starts of processes that don't say what is in their environment, and environments with all of this process's."""
    found = {"starts" for call in module.nodes(ast.Call) if _starts(call) and not _says_environment(call)}
    wholes = [
        value
        for node in module.nodes(ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is None
    ]
    wholes += [side for node in module.nodes(ast.BinOp) for side in (node.left, node.right)]
    wholes += [argument for call in module.nodes(ast.Call) if _is_named(call.func, "dict") for argument in call.args]
    wholes += [
        call.func.value
        for call in module.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "copy"
    ]
    found |= {"all" for node in wholes if _is_environment(node)}
    return {f"{module.path}:{what}" for what in found}


def _starts(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="subprocess"), attr=name):
            return name in STARTS | RUNS
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in STARTS
        case _:
            return False


def _says_environment(call: ast.Call) -> bool:
    return any(one.arg == "env" and not _is_environment(one.value) for one in call.keywords)


def _is_environment(node: ast.expr) -> bool:
    return _is_named(node, "environ")


def _is_named(node: ast.expr, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) == name
    )


def mere_nouns(module: Module) -> set[str]:
    """Names of tests of fewer than three words: a sentence that can be wrong says of whom, what and how."""
    found = re.findall(r"^\s*(?:async )?def (test_\w+)", module.text, re.MULTILINE)
    return {f"{module.path}:{name}" for name in found if name.count("_") < 3}


def foreign_arguments(module: Module) -> set[str]:
    """Docstrings that describe a parameter which the function, or the class's constructor, doesn't have."""
    return {
        f"{module.path}:{node.name}:{name}"
        for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if (described := _described_arguments(ast.get_docstring(node) or ""))
        for name in described - _parameters(node)
    }


def _described_arguments(docstring: str) -> set[str]:
    _, mark, rest = docstring.partition("\nArgs:\n")
    lines = rest.split("\n\n")[0].splitlines() if mark else ()
    return {match[1] for line in lines if (match := _ARGUMENT.match(line))}


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    names = {field.target.id for field in ast.walk(node) if _is_field(field)}
    return names | {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}


def _is_field(node: ast.AST) -> TypeGuard[Any]:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
