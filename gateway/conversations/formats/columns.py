"""Tables: CSV, Parquet, and JSON whose records are rows, by a map from what a conversation has to columns."""

import csv
import importlib
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.formats.table_rows import join_rows, pair_rows
from gateway.conversations.formats.turns import BAD, TOOLS, has_tools, is_marked
from gateway.conversations.records import ROW_LISTS, Record, read_records
from training.dataset import Problem

__all__ = ["COLUMNS", "find_doubles", "has_columns", "load_csv", "load_parquet", "read_json", "read_table"]

COLUMNS: Mapping[str, Sequence[str]] = {
    "question": (
        *("question", "frage", "kundenfrage", "anfrage", "pregunta", "consulta", "demande"),
        *("prompt", "instruction", "input", "eingabe", "entrada", "user", "customer", "kunde", "cliente", "client"),
        *("query", "input_text", "text_input"),
    ),
    "reply": (
        *("reply", "answer", "antwort", "réponse", "reponse", "respuesta", "response", "output", "ausgabe", "salida"),
        *("completion", "assistant", "agent", "agente", "mitarbeiter", "output_text"),
    ),
    "system": ("system", "system_prompt", "systemprompt", "systemnachricht"),
    "conversation": (
        *("conversation", "conversation_id", "thread_id", "ticket_id", "gespräch", "gesprächs-id", "ticketnummer"),
        *("vorgang", "conversación", "hilo", "ticket", "id"),
    ),
    "role": (
        *("role", "rolle", "rôle", "rol", "author", "verfasser", "autor", "auteur", "from", "sender", "absender"),
        *("expéditeur", "remitente"),
    ),
    "text": (
        *("text", "texte", "texto", "message", "nachricht", "mensaje", "body", "content", "inhalt", "contenu"),
        *("contenido",),
    ),
    "time": (
        *("time", "timestamp", "created_at", "sent_at", "created", "erstellt_am", "zeitpunkt", "créé_le", "creado"),
        *("date", "datum", "fecha"),
    ),
    "internal": ("internal", "is_internal", "private", "is_private", "intern", "interne", "interno", "privado"),
    "public": ("public", "is_public", "öffentlich", "público"),
}
"""The names that a column map may have, each with the headers that are taken for it without a map."""

_SHAPES = ((frozenset({"conversation", "role", "text"}), join_rows), (frozenset({"question", "reply"}), pair_rows))
"""The columns of a row per message, which may name its `customer` and `agent` besides, and of a row per pair."""
_TEXTS = frozenset({"question", "reply", "role", "text"})

_ADVICE = (
    "Say which column is which, such as --map question=Subject --map reply=Answer for a row per pair, or --map "
    "conversation=Ticket --map role=Author --map text=Body for a row per message."
)
_LINE_END = re.compile(r"\r\n?")
_SEPARATOR_LINE = re.compile(r"sep=(.)\n", re.I)
"""A first line by which Excel tells the delimiter."""
_MORE = "\0more"
_NUMBERED = re.compile(r"_*\(\d+\)$")
_QUOTED = re.compile(r'"[^"]*"')
_SHEET_ERRORS = frozenset(
    "#NAME? #REF! #VALUE! #DIV/0! #N/A #NULL! #NUM! #SPILL! #CALC! #NAME #BEZUG! #WERT! #NV #ZAHL!".split()
)
"""Cells of a spreadsheet where a text was taken for a formula, such as one that begins with `=` or `-`."""
_GAPS = frozenset(("nan", "null", "<na>", r"\n"))
"""Words of programs and databases for that there is nothing."""
_BESIDE = {"system", "conversation", "time", "internal", "public"}
_FIELD_BYTES = 16 * 1024 * 1024
_PARQUET = (
    "Parquet files are read by pyarrow, which isn't installed here: it is larger than all that the gateway needs. "
    "Install it beside Braid ('uv pip install pyarrow'), or save the table as CSV."
)


def load_csv(text: str) -> tuple[list[Record], list[Problem]]:
    """Return the rows of a table with a header, whose commas, semicolons or tabs are told by it.

    A row with more cells than the header, such as one with a comma in a text without quotes, is cut and a problem. Of
    columns with one name the second is called `Price (2)`, as in documents.

    Raises:
        UnusableFile: The file is no CSV.
    """
    text = _LINE_END.sub("\n", text).lstrip("\n")
    name_match = _SEPARATOR_LINE.match(text)
    text = text[name_match.end() :] if name_match else text
    header = _QUOTED.sub("", text.split("\n", 1)[0])
    delimiter = name_match[1] if name_match else max(",;\t", key=header.count)
    csv.field_size_limit(_FIELD_BYTES)
    rows: list[Record] = []
    problems: list[Problem] = []
    try:
        table = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True, restkey=_MORE)
        table.fieldnames = _tell_apart(table.fieldnames or ())
        for row in table:
            more = "".join(row.pop(_MORE, ())).strip()
            if more:
                message = (
                    f"It has more cells than the header. Put quotes around texts that have a {delimiter!r} in them."
                )
                problems.append(Problem(len(rows) + 1, message))
            rows.append(row)
    except csv.Error as error:
        raise UnusableFile(
            f"The file is no CSV: in row {len(rows) + 1}, {error}. Put quotes around texts that have several lines or "
            "quotes in them, and write quotes inside them twice."
        ) from None
    return rows, problems


def _tell_apart(names: Sequence[str]) -> list[str]:
    words = [_spell(name) for name in names]
    numbers = [words[: place + 1].count(word) for place, word in enumerate(words)]
    return [
        f"{name.strip()} ({number})" if word and number > 1 else name
        for name, word, number in zip(names, words, numbers, strict=True)
    ]


def find_doubles(names: Iterable[str]) -> dict[str, Sequence[str]]:
    """Return columns that have one name, by each of them: but for capitals, spaces and the number of the second."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_NUMBERED.sub("", _spell(name)), []).append(name)
    return {name: group for word, group in groups.items() if word and len(group) > 1 for name in group}


def read_json(text: str, columns: Mapping[str, str]) -> Import:
    """Read records as rows of a table: a pair each, or a message each.

    Raises:
        UnusableFile: Columns are missing.
    """
    records, problems = read_records(text, ROW_LISTS)
    return read_table(records, columns, problems)


def has_columns(record: Record) -> bool:
    """Tell whether a record's members are those of a table's rows, by their names, and texts."""
    mapping = _guess(record)
    return any(
        needed <= mapping.keys() and all(isinstance(record[mapping[name]], str) for name in needed & _TEXTS)
        for needed, _ in _SHAPES
    )


def load_parquet(data: bytes) -> list[Record]:
    """Return the rows of a Parquet file, by pyarrow.

    Raises:
        UnusableFile: pyarrow isn't there, or the file is none.
    """
    parquet = _load_pyarrow()
    try:
        return parquet.read_table(io.BytesIO(data)).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        raise UnusableFile(f"The file can't be read as Parquet: {error}.") from None


def _load_pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UnusableFile(_PARQUET) from None


def read_table(
    rows: Sequence[tuple[int, Mapping[str, Any]]], columns: Mapping[str, str], problems: Sequence[Problem] = ()
) -> Import:
    """Make conversations of numbered rows, with the problems of those that are none.

    Raises:
        UnusableFile: Columns are missing, or are not those of a table.
    """
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    for meaning, column in columns.items():
        if meaning not in COLUMNS:
            raise UnusableFile(f"A column can't be {meaning!r}, only {', '.join(COLUMNS)}. {_ADVICE}")
        if column not in names:
            raise UnusableFile(f"There is no column {column!r}. The file has {', '.join(map(str, names)) or 'none'}.")
    mapping = {**_guess(names), **columns}
    # What a person says of the columns tells more than what they are called.
    for needed, read in sorted(_SHAPES, key=lambda shape: -len(shape[0] & columns.keys())):
        if needed <= mapping.keys():
            _check_doubles(names, mapping, ({*needed, *_BESIDE} & mapping.keys()) - columns.keys())
            # Of a row per message a label may say anything.
            bad = {number for number, row in rows if is_marked(row)} if read is pair_rows else set[int]()
            faults = {problem.row: problem for problem in problems}
            faults |= {
                number: fault
                for number, row in rows
                if number not in bad
                and (fault := _find_fault(number, row, mapping, {*needed, "system"} & mapping.keys()))
            }
            cells = {number: _choose(row, mapping) for number, row in rows}
            sound = [(number, row) for number, row in cells.items() if number not in bad | faults.keys()]
            lacking = {row.get("conversation", "") for number, row in cells.items() if number in faults}
            is_timed = "time" in columns
            content = pair_rows(sound) if read is pair_rows else join_rows(sound, lacking, is_timed=is_timed)
            all_faults = sorted([*faults.values(), *content.problems], key=lambda problem: problem.row)
            return Import(content.conversations, all_faults, {**content.omitted, **({BAD: len(bad)} if bad else {})})
    raise UnusableFile(f"It isn't clear what the columns {', '.join(map(str, names)) or '(none)'} are. {_ADVICE}")


def _check_doubles(names: Iterable[str], mapping: Mapping[str, str], guessed: Iterable[str]) -> None:
    doubles = find_doubles(names)
    for meaning in sorted(guessed):
        if group := doubles.get(mapping[meaning]):
            raise UnusableFile(
                f"The columns {', '.join(map(repr, group))} have one name. Say which is the {meaning}, such as "
                f"--map '{meaning}={group[-1]}'."
            )


def _spell(name: str) -> str:
    return unicodedata.normalize("NFC", str(name)).strip().casefold().replace(" ", "_")


def _guess(names: Iterable[str]) -> dict[str, str]:
    by_word = {_spell(name): name for name in names}
    matches = {meaning: [by_word[word] for word in words if word in by_word] for meaning, words in COLUMNS.items()}
    return {meaning: columns[0] for meaning, columns in matches.items() if columns}


def _choose(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    cells = {meaning: row.get(column) for meaning, column in columns.items()}
    return {
        meaning: str(cell) if isinstance(cell, bool) and meaning not in _TEXTS else _read_cell(cell) or ""
        for meaning, cell in cells.items()
    }


def _find_fault(
    number: int, row: Mapping[str, Any], columns: Mapping[str, str], needed: Iterable[str]
) -> Problem | None:
    faults = [columns[meaning] for meaning in needed if _read_cell(row.get(columns[meaning])) is None]
    if faults:
        return Problem(number, f"Its {', '.join(map(repr, sorted(faults)))} is no text.")
    cells = [(columns[meaning], str(row.get(columns[meaning])).strip()) for meaning in sorted(needed)]
    for column, cell in cells:
        if cell in _SHEET_ERRORS:
            return Problem(
                number,
                f"Its {column!r} is {cell}, which a spreadsheet writes where a text was taken for a formula. Give the "
                "text, with the column formatted as text.",
            )
    return Problem(number, TOOLS) if has_tools(row) else None


def _read_cell(value: Any) -> str | None:
    """Return a cell as text, an id or a date of Parquet's too; None for what is none, such as a list."""
    if value is None or value != value:  # not a number, as pandas writes gaps
        return ""
    if isinstance(value, bool | bytes | dict | list):
        return None
    text = str(value)
    return "" if text.strip().casefold() in _GAPS else text
