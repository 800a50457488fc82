"""The environment that templates run in: a closed world of text, numbers, lists and mappings."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateRuntimeError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import missing

__all__ = [
    "BOUND_FILTER",
    "FILTER_NAMES",
    "LOOP_FIELDS",
    "MAX_ITEMS",
    "MAX_JOINED",
    "REQUEST_VARIABLES",
    "TEST_NAMES",
    "Missing",
    "Sandbox",
    "create_sandbox",
]

MAX_ITEMS = 200
MAX_JOINED = 65_536
FILTER_NAMES = frozenset("capitalize count d default first join last length lower title trim truncate upper".split())
TEST_NAMES = frozenset(
    "boolean defined divisibleby eq even false ge gt in le lt ne none number odd string true undefined".split()
)
# The names that every request brings; `_syntax.BLOCKS` says where each may stand.
REQUEST_VARIABLES = ("passages", "question", "cite", "instructions")
# Counters that look forward (last, length, …) are left out: what a passage prints must not change when the budget drops
# those behind it.
LOOP_FIELDS = frozenset(("index", "index0", "first", "previtem"))
# The filter that each loop's items are sent through; its space keeps a template from naming it.
BOUND_FILTER = "bound items"


class Missing(StrictUndefined):
    """A name without a value: any use of it fails, and says what to do."""

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_obj is missing:
            return (
                f"the variable '{name}' has no value; give it one in the variables of the release or the job, use "
                f"{', '.join(REQUEST_VARIABLES)} in the blocks that have them, or write "
                f"{{{{ {name} | default('…') }}}} to go without it"
            )
        kind = type(self._undefined_obj).__name__
        return f"there is no '{name}' in this {kind}; a passage has number, title and text, a mapping has its own keys"


class Sandbox(ImmutableSandboxedEnvironment):
    """Only a mapping's keys and a loop's counters can be reached by name, so no Python object can be walked."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            items = cast("dict[str, Any]", obj)
            return items[attribute] if attribute in items else self.undefined(obj=items, name=attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        if isinstance(obj, StrictUndefined):
            return obj[attribute]  # raises, and names what is missing itself instead of its attribute
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, str | list | tuple | StrictUndefined) and isinstance(argument, int | slice):
            try:
                return cast("list[Any]", obj)[argument]
            except IndexError:
                pass
        return self.undefined(obj=obj, name=str(cast("Any", argument)))


def create_sandbox() -> Sandbox:
    """Return a fresh environment: no loader, no extensions, one global function, a dozen filters."""
    environment = Sandbox(
        undefined=Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        finalize=_require_printable,
        cache_size=0,
    )
    names: dict[str, Any] = {"range": _make_range}
    filters: dict[str, Any] = {name: FILTERS[name] for name in FILTER_NAMES}
    filters["join"] = _join
    filters[BOUND_FILTER] = _bound
    environment.globals = names
    environment.filters = filters
    environment.tests = {name: TESTS[name] for name in TEST_NAMES}
    return environment


def _require_printable(value: Any) -> Any:
    # A container or None would print as Python source, which no prompt wants, and a nested list without end.
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, StrictUndefined):
        str(value)
    raise TemplateRuntimeError(
        f"a {type(value).__name__} can't be printed, only text and numbers can; "
        "loop over a list, name one key of a mapping, or write default('…', true) where a value may be null"
    )


def _make_range(*bounds: int) -> range:
    numbers = range(*bounds)
    # Not len(): a range longer than sys.maxsize has none, but it can be sliced.
    if numbers[MAX_ITEMS : MAX_ITEMS + 1]:
        raise TemplateRuntimeError(f"range(…) may give {MAX_ITEMS} numbers and this one gives more; ask for fewer")
    return numbers


def _bound(items: Iterable[Any]) -> list[Any]:
    if isinstance(items, str | dict):
        kind = "text" if isinstance(items, str) else "mapping"
        raise TemplateRuntimeError(f"a {kind} is not a list to loop over or join; give a list instead")
    first = list(islice(items, MAX_ITEMS + 1))
    if len(first) > MAX_ITEMS:
        raise TemplateRuntimeError(f"a list may have {MAX_ITEMS} items here and this one has more; shorten it")
    return first


def _join(items: Iterable[Any], d: str = "") -> str:  # by Jinja's name, which templates may write
    parts = [str(_require_printable(item)) for item in _bound(items)]
    separator = str(_require_printable(d))
    length = sum(map(len, parts)) + len(separator) * max(len(parts) - 1, 0)
    if length > MAX_JOINED:
        raise TemplateRuntimeError(f"join may make {MAX_JOINED} characters and this makes {length}; shorten the list")
    return separator.join(parts)
