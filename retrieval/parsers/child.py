"""The process that parses one document and ends: `python -m retrieval.parsers.child FILENAME LIMITS < document`.

Documents are hostile until parsed. Here they can exhaust memory, loop or crash a native library, and cost one refusal.
"""

import resource
import signal
import sys

import msgspec

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import name_parser
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits, Unreadable
from retrieval.parsers.sniff import sniff
from retrieval.parsers.text import describe_invisible

__all__ = ["main", "read_document", "run"]

_MOST_WARNINGS, _WARNING = 20, 500  # and characters of one


def main() -> int:
    return run(sys.argv[1], msgspec.json.decode(sys.argv[2], type=ParseLimits))


def run(filename: str, limits: ParseLimits) -> int:
    """Parse the document at stdin under limits, which hold from then on, and write the outcome to stdout."""
    _apply(limits)
    outcome: ParsedDocument | Unreadable
    try:
        outcome = read_document(sys.stdin.buffer.read(limits.input_bytes + 1), filename, limits)
    except DocumentUnreadable as error:
        outcome = Unreadable(error.code, str(error))
    except MemoryError:
        outcome = Unreadable("invalid_file", f"Reading it needs more than {limits.memory} bytes of memory. Split it.")
    except RecursionError:
        outcome = Unreadable("invalid_file", "Its parts are in each other, too deep to be read. Export it more simply.")
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))
    return 0


def _apply(limits: ParseLimits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ends the process by itself also when its parent has been killed.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def read_document(data: bytes, filename: str, limits: ParseLimits) -> ParsedDocument:
    """Find the format of a file and parse it.

    Raises:
        DocumentUnreadable: No known format, broken, over a limit, or without visible text.
    """
    if len(data) > limits.input_bytes:
        raise DocumentUnreadable(
            "invalid_file", f"The file is larger than {limits.input_bytes} bytes, the limit for one document. Split it."
        )
    format_, content = sniff(data, filename)
    document = format_.load_parser()(content, limits)
    if len(document.text) > limits.characters:
        raise DocumentUnreadable(
            "invalid_file",
            f"The document has {len(document.text)} characters of text; the limit is {limits.characters}. Split it.",
        )
    before = [warning for warning in (content.warning, describe_invisible(content.text)) if warning]
    parser = name_parser(format_, lacks_ocr=document.lacks_ocr)
    return msgspec.structs.replace(document, warnings=_bound([*before, *document.warnings]), parser=parser)


def _bound(warnings: list[str]) -> list[str]:
    """Return as many warnings as anybody reads, and how many more there are."""
    first = [warning if len(warning) <= _WARNING else f"{warning[: _WARNING - 1]}…" for warning in warnings]
    if len(first) <= _MOST_WARNINGS:
        return first
    return [*first[: _MOST_WARNINGS - 1], f"{len(first) - _MOST_WARNINGS + 1} more warnings of this kind or another."]


if __name__ == "__main__":
    sys.exit(main())
