"""Lists of HTML: the marks that a browser shows before their items."""

import re
from typing import Any

from retrieval.parsers.list_numbers import write_letters, write_roman

__all__ = ["LISTS", "ListMarks"]

LISTS = frozenset(("ol", "ul"))
_DEEPEST = 8
_NUMBER = re.compile(r"[+-]?\d{1,7}")
_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]*?\b(lower|upper)-(alpha|latin|roman)", re.I)
_FORMS = {"a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman"}


class ListMarks:
    """The lists that are open, and the number of each one's next item."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int, int]] = []  # Form of the numbers, "" for bullets; next number; step.

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, element: Any) -> None:
        if element.tag != "ol":
            self._open.append(("", 0, 0))
            return
        backwards = element.get("reversed") is not None
        items = sum(child.tag == "li" for child in element) if backwards else 1
        start = _read_number(element.get("start"), items)
        self._open.append((_find_form(element), start, -1 if backwards else 1))

    def end(self) -> None:
        if self._open:
            self._open.pop()

    def make(self, item: Any) -> str:
        """Return an item's mark with its indentation, `  2. ` or `- `, which an item outside of lists has too."""
        if not self._open:
            return "- "
        form, number, step = self._open[-1]
        indentation = "  " * min(len(self._open) - 1, _DEEPEST)
        if not form:
            return f"{indentation}- "
        number = _read_number(item.get("value"), number)
        self._open[-1] = form, number + step, step
        return f"{indentation}{_write(number, form)}. "


def _read_number(value: str | None, default: int) -> int:
    return int(value) if value and _NUMBER.fullmatch(value := value.strip()) else default


def _find_form(element: Any) -> str:
    style = _STYLE.search(element.get("style", ""))
    if style:
        return f"{style[1]}-{style[2]}".lower().replace("latin", "alpha")
    return _FORMS.get(element.get("type", "").strip(), "decimal")


def _write(number: int, form: str) -> str:
    case, _, kind = form.partition("-")
    write = {"alpha": write_letters, "roman": write_roman}.get(kind, str)
    return write(number).upper() if case == "upper" else write(number)
