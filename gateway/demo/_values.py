"""Values for training rows, drawn anew for each row, so that reading the passage is the only way to know them."""

from collections.abc import Callable, Mapping
from random import Random

__all__ = ["DRAWS"]

_WORDS = (
    "AMBER",
    "BEACON",
    "CLOVER",
    "DAPPLE",
    "FALCON",
    "GINGER",
    "HAZEL",
    "JUNIPER",
    "MARBLE",
    "PEBBLE",
    "TIMBER",
    "WILLOW",
)


def _price(random: Random) -> str:
    return f"£{random.randint(1, 120)}.{random.randint(0, 19) * 5:02}"


def _time(random: Random) -> str:
    return f"{random.randint(5, 22):02}:{random.randint(0, 11) * 5:02}"


def _litres(random: Random) -> str:
    return f"{random.randint(0, 7)}.{random.randint(1, 9)} litres"


def _metres(random: Random) -> str:
    return f"{random.randint(0, 2)}.{random.randint(10, 95)} metres"


def _boil_time(random: Random) -> str:
    return f"{random.randint(2, 9)} minutes {random.randint(1, 11) * 5} seconds"


def _part_code(random: Random) -> str:
    return f"{random.choice('BCDGHNPTW')}-{random.randint(100, 989)}"


def _word_code(random: Random) -> str:
    return f"{random.choice(_WORDS)}{random.randint(10, 99)}"


def _version(random: Random) -> str:
    return f"{random.randint(1, 9)}.{random.randint(0, 9)}.{random.randint(0, 9)}"


def _letter(random: Random) -> str:
    return random.choice("JKLMNPQRS")


def _draw_count(low: int, high: int, pattern: str) -> Callable[[Random], str]:
    def draw(random: Random) -> str:
        return pattern.format(random.randint(low, high))

    return draw


DRAWS: Mapping[str, Callable[[Random], str]] = {
    "boil_time": _boil_time,
    "count": _draw_count(6, 40, "{} people"),
    "days": _draw_count(3, 98, "{} days"),
    "decibels": _draw_count(35, 89, "{} decibels"),
    "extension": _draw_count(200, 989, "extension {}"),
    "hours": _draw_count(2, 72, "{} hours"),
    "kilograms": _draw_count(8, 60, "{} kilograms"),
    "letter": _letter,
    "litres": _litres,
    "metres": _metres,
    "minutes": _draw_count(5, 130, "{} minutes"),
    "months": _draw_count(4, 96, "{} months"),
    "part_code": _part_code,
    "percent": _draw_count(5, 45, "{} per cent"),
    "price": _price,
    "seconds": _draw_count(2, 30, "{} seconds"),
    "time": _time,
    "version": _version,
    "watts": _draw_count(900, 3100, "{} watts"),
    "weeks": _draw_count(2, 26, "{} weeks"),
    "word_code": _word_code,
}
"""Draws a value, by the name that the material uses for its kind."""
