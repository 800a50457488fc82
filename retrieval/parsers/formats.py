"""The table of formats that a document may have. A new one is a row here, and a module with its parser.

A row's order matters only among rows that recognise the same file; the last row is plain text, which all else is.
"""

import io
import re
import zipfile
import zlib

from retrieval.parsers.document_format import DocumentFormat, find_extension
from retrieval.parsers.source_code import LANGUAGES

__all__ = [
    "ACCEPTED",
    "FORMATS",
    "MAILBOX_LINE",
    "PLAIN_TEXT",
    "find_binary_format",
    "find_text_format",
    "list_archive",
    "list_parsers",
    "name_parser",
]

_LONGEST_TYPE = 100
_BEGINNING = 4096
"""Characters of a text in which its format's opening is looked for."""

_OPEN = "application/vnd.oasis.opendocument"
_OFFICE = "application/vnd.openxmlformats-officedocument"

_COMMENTS = r"(?>(?:<!--.*?-->\s*)*)"
"""Comments of XML, taken once: each could also end with a later one, and twenty of them in a million ways."""
_FLAT = rf"\s*(?:<\?xml[^>]*>\s*)?{_COMMENTS}<office:document\b"
"""The beginning of OpenDocument as one XML file."""

_PAGE = rf"\s*(?:<\?xml[^>]*>\s*)?{_COMMENTS}<(?:!doctype\s+html|html|head|body)\b"

MAILBOX_LINE = (
    r"From \S[^\n]* (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d[^\n]* \d{4}[^\n]*\n"
    r"(?=[!-9;-~]+:)"
)
"""Pattern of the line that begins a message of a mailbox, before a header: `From a@b Fri Nov 27 09:30:00 2026`."""

_BEFORE_MAIL = r"\s{0,99}+(?:\d{1,10} *\n)?"
"""Also the message's length, as Apple Mail has it there."""
_HEADERS = r"(?:[!-9;-~]{1,76}:[^\n]*\n|[ \t][^\n]*\n){0,200}?"
_SENT_LINE = r"Date: *(?:\w{3}, *)?\d{1,2} \w{3} \d{4} +\d\d:"
_OF_PARTS = rf"(?={_HEADERS}MIME-Version: *1\.0\b){_HEADERS}Content-Type: *multipart/\w"
"""A message without a sender, as programs save pages and drafts (`.mht`, Confluence's `.doc`)."""
_SINGLE = rf"(?={_HEADERS}MIME-Version: *1\.0\b){_HEADERS}Content-Type: *text/\w"
_OF_PROGRAMS = r"(?:Message-ID: *<|MIME-Version: *1|Received: from|Return-Path:)"

PLAIN_TEXT = DocumentFormat(
    kind="text",
    label="plain text",
    media_types={
        ".txt": "text/plain",
        ".log": "text/plain",
        ".xml": "text/xml",
    },
    parser="retrieval.parsers.text:parse_text",
    version=5,
)

FORMATS = (
    DocumentFormat(
        kind="markdown",
        label="Markdown",
        media_types=dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"), "text/markdown"),
        parser="retrieval.parsers.markdown:parse_markdown",
        version=6,
        # Headings where no two lines in a row begin with a single `#`, as comments of settings and scripts do.
        marks=re.compile(
            r"\A(?!#!)(?:(?s:.*?)^(?:={3,}[ \t]*$|-{3,}[ \t]*$|```|[*+-][ \t]+\[)"
            r"|(?!(?s:.*?)^#(?:[ \t][^\n]*)?\n#(?:[ \t]|$))(?s:.*?)^#{1,6}[ \t]+\S)",
            re.M,
        ),
    ),
    DocumentFormat(
        kind="rst",
        label="reStructuredText",
        media_types={".rst": "text/x-rst", ".rest": "text/x-rst"},
        parser="retrieval.parsers.restructured_text:parse_restructured_text",
        version=2,
    ),
    DocumentFormat(
        kind="asciidoc",
        label="AsciiDoc",
        media_types={".adoc": "text/asciidoc", ".asciidoc": "text/asciidoc"},
        parser="retrieval.parsers.asciidoc:parse_asciidoc",
        version=3,
    ),
    DocumentFormat(
        kind="org",
        label="Org",
        media_types={".org": "text/org"},
        parser="retrieval.parsers.org:parse_org",
        version=2,
        required=re.compile(
            r"^(?:\*+[ \t]+\S|[ \t]*(?:#\+\w|:[\w-]+:[ \t]*$|\||[-+][ \t]+\[[ X-]\][ \t])|.*\[\[)", re.M
        ),
    ),
    DocumentFormat(
        kind="html",
        label="HTML",
        media_types={".html": "text/html", ".htm": "text/html", ".xhtml": "text/html", ".svg": "image/svg+xml"},
        parser="retrieval.parsers.html:parse_html",
        version=13,
        opening=re.compile(_PAGE, re.I | re.S),
        # The next thing is an element as well, and one is closed.
        structure=re.compile(rf"\A{_PAGE}[^>]*>\s*{_COMMENTS}<[a-z].*?</[a-z]", re.I | re.S),
        marks=re.compile(
            r"\A\s*<(?:p|div|h[1-6]|table|ul|ol|dl|section|article|main|header|nav|title|meta|link|style|span)\b[^<>]*>",
            re.I,
        ),
        required=re.compile("<"),
    ),
    DocumentFormat(
        kind="pdf",
        label="PDF",
        media_types={".pdf": "application/pdf"},
        parser="retrieval.parsers.pdf:parse_pdf",
        version=10,
        # At the beginning, or after junk in the first 1024 bytes: a printer's commands, what is no text, or text if
        # the file ends as a PDF does. A text that speaks of `%PDF-1.7` is a text.
        signature=re.compile(
            rb"(?:[\x00-\x20\x7f-\xff]{0,1019}|\x1b.{0,1018}?)%PDF-\d|"
            rb".{0,1019}?\n%PDF-\d(?=.*\nstartxref\s{1,4}\d+\s{1,4}%%EOF\s*\Z)",
            re.S,
        ),
        structure=re.compile(r"\nstartxref\s{1,4}\d+\s{1,4}%%EOF\s*\Z"),
    ),
    DocumentFormat(
        kind="docx",
        label="Word (.docx)",
        media_types={
            ".docx": f"{_OFFICE}.wordprocessingml.document",
            ".docm": "application/vnd.ms-word.document.macroEnabled.12",
            ".dotx": f"{_OFFICE}.wordprocessingml.template",
        },
        parser="retrieval.parsers.docx:parse_docx",
        version=7,
        archive=re.compile(r"^word/document\d*\.xml$", re.M | re.I),
    ),
    DocumentFormat(
        kind="pptx",
        label="PowerPoint (.pptx)",
        media_types={
            ".pptx": f"{_OFFICE}.presentationml.presentation",
            ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
            ".ppsx": f"{_OFFICE}.presentationml.slideshow",
        },
        parser="retrieval.parsers.pptx:parse_pptx",
        version=5,
        archive=re.compile(r"^ppt/presentation\d*\.xml$", re.M | re.I),
    ),
    DocumentFormat(
        kind="xlsx",
        label="Excel (.xlsx)",
        media_types={
            ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
            ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
            ".xltx": f"{_OFFICE}.spreadsheetml.template",
        },
        parser="retrieval.parsers.xlsx:parse_xlsx",
        version=5,
        archive=re.compile(r"^xl/workbook\d*\.xml$", re.M | re.I),
    ),
    DocumentFormat(
        kind="odt",
        label="OpenDocument (.odt, .ods, .odp)",
        media_types={".odt": f"{_OPEN}.text", ".ott": f"{_OPEN}.text-template"},
        parser="retrieval.parsers.opendocument_text:parse_odt",
        version=7,
        archive=re.compile(rf"\A{_OPEN}\.text(?:-template)?$", re.M),
    ),
    DocumentFormat(
        kind="ods",
        label="",
        media_types={".ods": f"{_OPEN}.spreadsheet", ".ots": f"{_OPEN}.spreadsheet-template"},
        parser="retrieval.parsers.ods:parse_ods",
        version=4,
        archive=re.compile(rf"\A{_OPEN}\.spreadsheet(?:-template)?$", re.M),
    ),
    DocumentFormat(
        kind="odp",
        label="",
        media_types={".odp": f"{_OPEN}.presentation", ".otp": f"{_OPEN}.presentation-template"},
        parser="retrieval.parsers.opendocument_text:parse_odp",
        version=6,
        archive=re.compile(rf"\A{_OPEN}\.presentation(?:-template)?$", re.M),
    ),
    DocumentFormat(
        kind="fodf",
        label="",
        media_types={
            ".fodt": f"{_OPEN}.text-flat-xml",
            ".fods": f"{_OPEN}.spreadsheet-flat-xml",
            ".fodp": f"{_OPEN}.presentation-flat-xml",
        },
        parser="retrieval.parsers.opendocument_flat:parse_flat_opendocument",
        opening=re.compile(_FLAT, re.S),
        structure=re.compile(rf"\A{_FLAT}[^>]*\soffice:mimetype=\"{re.escape(_OPEN)}", re.S),
        required=re.compile("<office:document"),
        parts=("odt", "ods", "odp"),
    ),
    DocumentFormat(
        kind="rtf",
        label="RTF",
        media_types={".rtf": "application/rtf"},
        parser="retrieval.parsers.rtf:parse_rtf",
        version=4,
        signature=re.compile(rb"\s*\{\\rtf"),
        structure=re.compile(r"\A\s*\{\\rtf\d.*\}\s*\Z", re.S),
    ),
    DocumentFormat(
        kind="epub",
        label="EPUB",
        media_types={".epub": "application/epub+zip"},
        parser="retrieval.parsers.epub:parse_epub",
        archive=re.compile(r"\Aapplication/epub\+zip$|^META-INF/container\.xml$", re.M),
        parts=("html",),
    ),
    DocumentFormat(
        kind="email",
        label="e-mail (.eml, .mbox)",
        media_types={
            ".eml": "message/rfc822",
            ".mbox": "application/mbox",
            ".emlx": "message/rfc822",
            ".mht": "multipart/related",
            ".mhtml": "multipart/related",
        },
        parser="retrieval.parsers.mail:parse_mail",
        # A mailbox, or headers with From and one as only programs write it.
        signature=re.compile(
            rf"(?:\xef\xbb\xbf)?{_BEFORE_MAIL}(?:{MAILBOX_LINE}|(?={_HEADERS}From:){_HEADERS}"
            rf"(?:{_OF_PROGRAMS}|{_SENT_LINE})|{_OF_PARTS}|{_SINGLE})".encode("latin-1"),
            re.I,
        ),
        structure=re.compile(
            rf"\A{_BEFORE_MAIL}(?:{MAILBOX_LINE}|(?={_HEADERS}From:)(?={_HEADERS}{_SENT_LINE}){_HEADERS}{_OF_PROGRAMS}"
            rf"|{_OF_PARTS})",
            re.I,
        ),
        version=6,
        parts="all",
    ),
    DocumentFormat(
        kind="picture",
        label="pictures of text (by OCR, if tesseract is installed)",
        media_types={
            ".png": "image/png",
            ".jpg": "image/jpeg",
            ".jpeg": "image/jpeg",
            ".tif": "image/tiff",
            ".tiff": "image/tiff",
            ".webp": "image/webp",
            ".gif": "image/gif",
        },
        parser="retrieval.parsers.picture:parse_picture",
        signature=re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|II\*\0|MM\0\*|RIFF.{4}WEBP|GIF8[79]a", re.S),
    ),
    DocumentFormat(
        kind="csv",
        label="CSV and TSV",
        media_types={".csv": "text/csv", ".tsv": "text/tab-separated-values", ".tab": "text/tab-separated-values"},
        parser="retrieval.parsers.delimited:parse_delimited",
        version=4,
        parts=("text", "html"),
    ),
    DocumentFormat(
        kind="json",
        label="JSON",
        media_types={".json": "application/json", ".geojson": "application/geo+json"},
        parser="retrieval.parsers.json_text:parse_json",
        version=2,
        parts=("jsonl", "text", "html"),
    ),
    DocumentFormat(
        kind="jsonl",
        label="",
        media_types={".jsonl": "application/jsonl", ".ndjson": "application/x-ndjson"},
        parser="retrieval.parsers.json_text:parse_json_lines",
        version=3,
        parts=("html",),
    ),
    DocumentFormat(
        kind="ipynb",
        label="Jupyter notebooks",
        media_types={".ipynb": "application/x-ipynb+json"},
        parser="retrieval.parsers.notebook:parse_notebook",
        parts=("markdown", "html", "text"),
    ),
    DocumentFormat(
        kind="subtitles",
        label="subtitles (.vtt, .srt)",
        media_types={".vtt": "text/vtt", ".srt": "application/x-subrip"},
        parser="retrieval.parsers.subtitles:parse_subtitles",
        required=re.compile(r"^[ \t]*[\d:]{5,9}[.,]\d{3}[ \t]+-->[ \t]", re.M),
    ),
    DocumentFormat(
        kind="code",
        label="source code",
        media_types=LANGUAGES,
        parser="retrieval.parsers.source_code:parse_source_code",
    ),
    PLAIN_TEXT,
)

ACCEPTED = (
    f"Accepted are {', '.join(filter(None, (format_.label for format_ in FORMATS[:-1])))} and {FORMATS[-1].label} "
    "in UTF-8, UTF-16, or an older encoding that is declared or can be recognised."
)
"""For the refusal of a file for which no other way out is known: it says what to give instead."""


def name_parser(format_: DocumentFormat, *, lacks_ocr: bool = False) -> str:
    """Return what makes text of a format: `html-1`, and with the versions of what is in it, summed, `epub-1.1`.

    It is `pdf-1-without-ocr` for what is read again once OCR is installed, and for nothing else.
    """
    parts = [row for row in FORMATS if format_.parts == "all" or row.kind in format_.parts]
    versions = f".{sum(row.version for row in parts)}" if parts else ""
    return f"{format_.kind}-{format_.version}{versions}{'-without-ocr' if lacks_ocr else ''}"


def list_parsers(*, has_ocr: bool) -> list[str]:
    """List the names of what makes texts now; among them what reads without OCR, but only while there is none."""
    names = [name_parser(format_) for format_ in FORMATS]
    return names if has_ocr else [*names, *(name_parser(format_, lacks_ocr=True) for format_ in FORMATS)]


_EXTENSION = re.compile(r"\.[a-z]\w*")
"""The extension of a kind of file, and not the end of a name like `Notes 2.1`."""

_FILES_OF_TOOLS = frozenset(
    "brewfile caddyfile codeowners containerfile dockerfile gemfile gnumakefile jenkinsfile justfile kconfig makefile "
    "pipfile procfile rakefile vagrantfile".split()
)
"""Names without an extension that say as well of what kind a file is: one whose comments look like headings."""


def find_binary_format(data: bytes, filename: str, *, is_text: bool) -> DocumentFormat | None:
    """Find the binary format whose signature or parts the file has.

    Its name plays a part only for what could be a text (`is_text`: no byte in it says otherwise): that needs the
    format's structure then, unless the name is of the format too.
    """
    if data.startswith(b"PK\x03\x04") and (listing := list_archive(data)) is not None:
        return next((row for row in FORMATS if row.archive is not None and row.archive.search(listing)), None)
    row = next((row for row in FORMATS if row.signature is not None and row.signature.match(data)), None)
    if row is None or not is_text or row.has_structure(data.decode("latin-1"), filename):
        return row
    return None


def list_archive(data: bytes) -> str | None:
    """Return a ZIP file's listing, its type (`mimetype`) and the names of its parts; None if it has none to read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            with archive.open("mimetype") if "mimetype" in names else io.BytesIO() as part:
                media_type = part.read(_LONGEST_TYPE).decode("latin-1").strip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        return None
    return "\n".join([media_type, *names])


def find_text_format(text: str, filename: str) -> DocumentFormat:
    """Find the format of a text: by its opening, else by the file's name, else by marks in it, else plain text."""
    extension = find_extension(filename)
    is_called = _EXTENSION.fullmatch(extension) is not None or filename.lower() in _FILES_OF_TOOLS
    for row in FORMATS:
        if row.opening is not None and row.opening.match(text, 0, _BEGINNING):
            if not is_called or row.has_structure(text, filename):
                return row
    for row in FORMATS:
        if extension in row.media_types and not row.is_binary:
            return row if row.required is None or row.required.search(text) else PLAIN_TEXT
    if is_called:
        return PLAIN_TEXT
    return next((row for row in FORMATS if row.marks is not None and row.marks.search(text)), PLAIN_TEXT)
