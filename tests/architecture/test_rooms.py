"""The rooms of the gateway: one list in the layers contract, the same in architecture.md, and no arrow back up."""

import re
import tomllib
from functools import cache
from typing import Any

from tests.architecture.source import ROOT

GATEWAY = ROOT / "gateway"


@cache
def contracts() -> list[dict[str, Any]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def layers() -> list[set[str]]:
    """The layers of the gateway from the top, each with the rooms that don't know each other."""
    (contract,) = (one for one in contracts() if one["type"] == "layers")
    assert contract["containers"] == ["gateway"]
    return [set(re.split(r" [|:] ", layer)) for layer in contract["layers"]]


def rooms() -> set[str]:
    return set().union(*layers())


def described() -> list[str]:
    """The rooms in the first column of architecture.md's table, in its order."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    _, _, section = page.partition("### The rooms of the gateway")
    cells = re.findall(r"^\| (`.*?) \|", section.partition("Rules that tests enforce")[0], re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)(?:/|\.py)?`", cell)]


def test_every_room_is_in_the_contract_and_in_no_two_layers() -> None:
    there = {path.stem for path in GATEWAY.glob("*.py")} | {path.parent.name for path in GATEWAY.glob("*/__init__.py")}
    assert rooms() == there - {"__init__", "__main__"}
    assert sum(map(len, layers())) == len(rooms())


def test_no_import_is_excepted_from_the_layers() -> None:
    (contract,) = (one for one in contracts() if one["type"] == "layers")
    assert contract["exhaustive"]
    assert contract.keys() == {"name", "type", "containers", "exhaustive", "layers"}
    assert not [layer for layer in contract["layers"] if ":" in layer]  # of `a : b` either may import the other


def test_the_table_of_rooms_names_those_of_the_contract_in_its_order() -> None:
    order = described()
    assert sorted(order) == sorted(rooms())
    numbers = [next(number for number, layer in enumerate(layers()) if room in layer) for room in order]
    assert numbers == sorted(numbers)
