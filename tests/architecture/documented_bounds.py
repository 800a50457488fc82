"""The table of bounds in docs/configuration.md, as numbers that tests hold code to."""

import re
from functools import cache

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "configuration.md"
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
# Names of settings and of fields stand in backticks, and some have digits. In a word a digit counts nothing.
_CODE = re.compile(r"`[^`]*`")
_NUMBER = re.compile(r"(?<![\w,-])(-?\d+(?:,\d{3})*)(?!\w)(?: (KiB|MiB|GiB))?")
_OF_A_SETTING = re.compile(rf"{_NUMBER.pattern}(?: s| of each)? \(`(\w+)`\)")


@cache
def rows() -> dict[str, str]:
    """The table's second column by its first."""
    table = PAGE.read_text().partition("## Bounds")[2]
    cells = (line.strip("|").split("|") for line in table.splitlines() if line.startswith("| "))
    return {what.strip(): most.strip() for what, most, _ in cells if what.strip() != "what"}


def numbers(row: str) -> tuple[int, ...]:
    """The numbers of a row in their order; sizes in bytes."""
    return tuple(_value(*found) for found in _NUMBER.findall(_CODE.sub("", rows()[row])))


def settings() -> dict[str, int]:
    """The numbers that stand before a setting in brackets, by its name."""
    found = (match for most in rows().values() for match in _OF_A_SETTING.findall(most))
    return {name: _value(digits, unit) for digits, unit, name in found}


def _value(digits: str, unit: str) -> int:
    return int(digits.replace(",", "")) * _UNITS.get(unit, 1)
