"""The process that parses one document and ends: `python -m retrieval.parsers.child FILENAME LIMITS < document`.

Documents are hostile until parsed. Here they can exhaust memory, loop or crash a native library, and cost one refusal.
"""

import resource
import signal
import sys
from collections.abc import Callable

import msgspec

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed import Parsed, ParseLimits, Unreadable
from retrieval.parsers.sniff import Kind, Sniffed, sniff
from retrieval.parsers.text import parse_text

__all__ = ["main"]


def main() -> int:
    filename, limits = sys.argv[1], msgspec.json.decode(sys.argv[2], type=ParseLimits)
    _limit(limits)
    outcome: Parsed | Unreadable
    try:
        outcome = _parse(sys.stdin.buffer.read(limits.input_bytes + 1), filename, limits)
    except DocumentUnreadable as error:
        outcome = Unreadable(error.code, str(error))
    except MemoryError:
        outcome = Unreadable("invalid_file", f"Reading it needs more than {limits.memory} bytes of memory. Split it.")
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))
    return 0


def _limit(limits: ParseLimits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ends the process by itself also when its parent has been killed.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def _parse(data: bytes, filename: str, limits: ParseLimits) -> Parsed:
    if len(data) > limits.input_bytes:
        raise DocumentUnreadable(
            "invalid_file", f"The file is larger than {limits.input_bytes} bytes, the limit for one document. Split it."
        )
    parsed = _parser(sniff(data, filename), data, limits)()
    if len(parsed.text) > limits.characters:
        raise DocumentUnreadable(
            "invalid_file",
            f"The document has {len(parsed.text)} characters of text; the limit is {limits.characters}. Split it.",
        )
    return parsed


def _parser(sniffed: Sniffed, data: bytes, limits: ParseLimits) -> Callable[[], Parsed]:
    """The one loader of format libraries: a start costs what its own document needs (lxml 25 ms, pdfium 45 ms)."""
    text, media_type = sniffed.text or "", sniffed.media_type
    match sniffed.kind:
        case Kind.PDF:
            from retrieval.parsers.pdf import parse_pdf

            return lambda: parse_pdf(data, media_type, max_pages=limits.pages)
        case Kind.HTML:
            from retrieval.parsers.html import parse_html

            return lambda: parse_html(text, media_type)
        case Kind.MARKDOWN:
            return lambda: parse_markdown(text, media_type)
        case Kind.TEXT:
            return lambda: parse_text(text, media_type)


if __name__ == "__main__":
    sys.exit(main())
