"""Documents of each format as their parsers read them: `python -m tests.retrieval.model.golden` writes them anew.

It is to be run when the test of them says so: after a parser's version was raised in `retrieval.parsers.formats`.
"""

from pathlib import Path
from typing import Any

import msgspec

from retrieval.parsers.child import read_document
from retrieval.parsers.formats import name_parser
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.parsers.sniff import sniff
from tests.retrieval.model.parsers.office_files import FILES
from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf

__all__ = ["DOCUMENTS", "GOLDEN", "list_parsers", "read"]

GOLDEN = Path(__file__).parent / "golden.json"

DOCUMENTS: dict[str, bytes] = {
    "guide.md": (
        b"# Kestrel K2\n\nIt boils.<!-- not yet -->\n\n## Prices\n\n| model | price |\n|---|---|\n| K2 | 49 |\n| K7 |\n"
        b"\n```sh\nmake tea\n```\n\n1. Fill it.\n2. Press it.\n\n## Warranty\n\nIt lasts 19 months.\n"
    ),
    "guide.rst": (
        b"Kestrel K2\n==========\n\n.. not yet\n\nPrices\n------\n\n=====  =====\nmodel  price\n=====  =====\n"
        b"K2     49\n=====  =====\n\n.. note::\n\n   Descale it::\n\n      make tea\n"
    ),
    "guide.adoc": (
        b"= Kestrel K2\n:price: 49\n\n// not yet\n== Prices\n\n|===\n|model |price\n\n|K2\n|{price}\n|===\n\n"
        b"[source,sh]\n----\nmake tea\n----\n\n. Fill it.\n. Press it.\n"
    ),
    "guide.org": (
        b"#+TITLE: Kestrel K2\n# not yet\n* TODO Prices :shop:\n:PROPERTIES:\n:A: b\n:END:\n| model | price |\n"
        b"|-------+-------|\n| K2    |    49 |\n\n#+begin_src sh\nmake tea\n#+end_src\n\n- Fill it.\n- Press it.\n"
    ),
    "page.html": (
        b"<title>K7</title><h1>K7<br>Guide</h1><p hidden>No.</p><table><tr><th>model<th>price</tr><tr><td>K7</td><td>59"
        b"</td></tr></table><h2><div>Care</div></h2><ol><li>Descale it.</ol><pre>make tea</pre>"
    ),
    "notes.txt": "First.\n\nA line\fand a page.".encode("utf-16"),
    "manual.pdf": make_pdf([make_page((20, "Manual"), (10, "It is hot.")), make_page((10, "It is cold."))]),
    **{name: (FILES / name).read_bytes() for name in ("text.docx", "text.rtf", "text.odt", "text.epub")},
    **{name: (FILES / name).read_bytes() for name in ("sheets.xlsx", "sheets.ods", "slides.pptx", "slides.odp")},
    "text.fodt": (FILES / "sources" / "text.fodt").read_bytes(),
    "kettles.ipynb": (
        b'{"cells": [{"cell_type": "markdown", "source": "# Kettles\\n\\n- K2"}, {"cell_type": "code", '
        b'"source": "boil()", "outputs": [{"text": ["100\\n"]}]}]}'
    ),
    "fares.csv": ("Route;Fare\n" + "".join(f"Port {n};{n},50\n" for n in range(4))).encode(),
    "kettles.json": b'{"kettles": [{"name": "K2", "price": 49.0}, {"name": "K7", "colours": ["red", "blue"]}]}',
    "kettles.jsonl": b'{"name": "K2", "price": 49.0}\n{"name": "K7"}\n',
    "talk.vtt": (
        b"WEBVTT\n\n1\n00:01.000 --> 00:02.000\n<v Ann>It boils\na litre.</v>\n\n00:02.000 --> 00:03.000\nNo?\n"
    ),
    "kettle.py": b"class Kettle:\n    def boil(self):\n        return 100\n",
    "mail.eml": (
        b"From: a@example.com\nSubject: Prices\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\n\nThe K2 costs 49 euros.\n--b\nContent-Disposition: attachment; filename=a.csv\n\nmodel,price\n"
        b"K2,49\n--b--\n"
    ),
}
"""All formats but pictures, whose text is what the installed version of tesseract makes of them."""


def list_parsers() -> dict[str, str]:
    """Return the name with its version of each document's parser."""
    return {name: name_parser(sniff(data, name)[0]) for name, data in DOCUMENTS.items()}


def read(name: str) -> Any:
    """Return a document as it is read now."""
    return msgspec.to_builtins(read_document(DOCUMENTS[name], name, ParseLimits()))


if __name__ == "__main__":
    texts = {name: read(name) for name in DOCUMENTS}
    GOLDEN.write_bytes(msgspec.json.format(msgspec.json.encode(texts), indent=1) + b"\n")
