"""The formats, each with the sign by which it is told from the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.formats.columns import read_csv, read_parquet
from gateway.conversations.formats.freshdesk import read_freshdesk
from gateway.conversations.formats.instructions import read_alpaca, read_sharegpt
from gateway.conversations.formats.intercom import read_intercom
from gateway.conversations.formats.openai import read_chats, read_preferences
from gateway.conversations.formats.zendesk import read_zendesk
from gateway.conversations.records import Record, as_dict, as_list, decode_text, read_records

__all__ = ["FORMATS", "ConversationFormat", "find_format", "read_conversations"]

_PARQUET = b"PAR1"
_LISTS = ("tickets", "results", "requests", "conversations", "data")
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class ConversationFormat:
    """A format.

    Attributes:
        read: Takes the file's bytes and the map of columns.
        recognise: Tells a record of it from others'; None for tables, which are told by their bytes.
    """

    label: str
    read: Callable[[bytes, Mapping[str, str]], Import]
    recognise: Callable[[Record], bool] | None = None


def _reads_text(read: Callable[[str], Import]) -> Callable[[bytes, Mapping[str, str]], Import]:
    return lambda data, _columns: read(decode_text(data))


def _has_turns(record: Record) -> bool:
    turns = as_list(record.get("conversations")) or as_list(record.get("conversation"))
    first = as_dict(turns[0]).keys() if turns else set[str]()
    return {"from", "value"} <= first or {"role", "content"} <= first


def _has_incoming(record: Record) -> bool:
    return any("incoming" in as_dict(one) for one in as_list(record.get("conversations")))


FORMATS: Mapping[str, ConversationFormat] = {
    "openai-preferences": ConversationFormat(
        "OpenAI's preference rows (DPO)",
        _reads_text(read_preferences),
        lambda record: "preferred_output" in record or "non_preferred_output" in record,
    ),
    "openai": ConversationFormat("OpenAI's chat rows", _reads_text(read_chats), lambda record: "messages" in record),
    "alpaca": ConversationFormat(
        "Alpaca", _reads_text(read_alpaca), lambda record: "output" in record and "instruction" in record
    ),
    "sharegpt": ConversationFormat("ShareGPT", _reads_text(read_sharegpt), _has_turns),
    "intercom": ConversationFormat(
        "Intercom's conversations",
        _reads_text(read_intercom),
        lambda record: "conversation_parts" in record or "conversation_message" in record,
    ),
    "freshdesk": ConversationFormat(
        "Freshdesk's tickets",
        _reads_text(read_freshdesk),
        lambda record: "helpdesk_ticket" in record or "description_text" in record or _has_incoming(record),
    ),
    "zendesk": ConversationFormat(
        "Zendesk's tickets",
        _reads_text(read_zendesk),
        lambda record: "comments" in record or "ticket" in record or {"requester_id", "via"} <= record.keys(),
    ),
    "csv": ConversationFormat("a CSV with a column map", lambda data, columns: read_csv(decode_text(data), columns)),
    "parquet": ConversationFormat("a Parquet file with a column map", read_parquet),
}
"""The formats by name, in the order in which they are tried."""


def find_format(data: bytes) -> str:
    """Return the name of a file's format, by what its first records have.

    Raises:
        UnusableFile: It has none that is known, or isn't UTF-8.
    """
    if data.startswith(_PARQUET):
        return "parquet"
    text = decode_text(data)
    if not text.strip():
        raise UnusableFile("The file is empty.")
    records, problems = read_records(text, _LISTS)
    # A file of one record may have a list under such a name itself: `{"conversations": [turns]}`.
    whole = read_records(text)[0] if text.lstrip().startswith("{") else []
    for _, record in (*records[:_LOOKED_AT], *whole[:1]):
        for name, format in FORMATS.items():
            if format.recognise is not None and format.recognise(record):
                return name
    header = text.lstrip().split("\n", 1)[0]
    if not records and not header.startswith(("{", "[")) and any(mark in header for mark in ",;\t"):
        return "csv"
    if problems and not records and header.startswith(("{", "[")):
        first = problems[0]
        raise UnusableFile(f"No record of the file can be read. Row {first.row}: {first.message}")
    labels = ", ".join(f"{name} ({format.label})" for name, format in FORMATS.items())
    raise UnusableFile(f"The file's format isn't known. Name one of these with --format: {labels}.")


def read_conversations(
    data: bytes, format: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[str, Import]:
    """Read a file, and return its format's name with its content.

    Args:
        data: The file's bytes.
        format: A name in `FORMATS`; None finds it.
        columns: For tables: the column of each of `formats.columns.COLUMNS`; those left out are found by their headers.

    Raises:
        UnusableFile: The file, the format or the columns can't be used.
    """
    name = format or find_format(data)
    if name not in FORMATS:
        raise UnusableFile(f"There is no format {name!r}. There are {', '.join(FORMATS)}.")
    if columns and FORMATS[name].recognise is not None:
        raise UnusableFile(f"A column map is for CSV and Parquet, and the file is {FORMATS[name].label}.")
    return name, FORMATS[name].read(data, columns or {})
