"""The number of a schema's parts in the grammar that an engine makes of it: each as often as it is repeated."""

from collections.abc import Mapping
from typing import Any, cast

from gateway.openai_format.schema_references import find_part

__all__ = ["DATA", "NAME_MEMBERS", "REPEATS", "count_repeats"]

REPEATS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})
NAME_MEMBERS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
DATA = frozenset({"enum", "const", "default", "examples", "example"})

_DEFINITIONS = frozenset({"$defs", "definitions"})
_MOST_LEVELS = 200  # with references followed


def count_repeats(schema: Mapping[str, Any], most: int) -> int:
    """Count a schema's parts, each as often as its own lengths and counts, and those of the parts around it, ask for.

    Parts within each other multiply, parts beside each other add up. A part that is referred to counts where it is; one
    that refers to itself is a rule of the grammar, and counts once there.

    Args:
        schema: It refers to its own parts only.
        most: Greater counts are `most + 1`.
    """
    return _Counter(schema, most).count(schema, 0)


class _Counter:
    def __init__(self, root: Mapping[str, Any], most: int) -> None:
        self._root = root
        self._most = most
        self._counts: dict[int, int] = {}

    def count(self, node: object, level: int, *, names: bool = False) -> int:
        if level > _MOST_LEVELS:
            return self._most + 1
        if isinstance(node, list):
            return self._limit(sum(self.count(one, level + 1) for one in cast("list[object]", node)))
        if not isinstance(node, dict):
            return 0
        members = cast("dict[str, object]", node)
        if names:
            return self._limit(sum(self.count(one, level + 1) for one in members.values()))
        if id(members) not in self._counts:
            self._counts[id(members)] = 1  # what a reference to an open part counts
            inner = sum(
                self.count(one, level + 1, names=name in NAME_MEMBERS)
                for name, one in members.items()
                if name not in DATA and name not in _DEFINITIONS
            )
            inner += self.count(find_part(self._root, members.get("$ref")), level + 1)
            times = [one for name in REPEATS & members.keys() if isinstance(one := members[name], int | float)]
            self._counts[id(members)] = self._limit(int(max([1, *times])) * (1 + inner))
        return self._counts[id(members)]

    def _limit(self, count: int) -> int:
        return min(count, self._most + 1)
