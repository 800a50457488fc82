"""Write the demo's PDF files from the Markdown beside this script: `python tests/gateway/demo/pdfs/write.py`.

The PDFs themselves are package data; this is their source, and a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

SOURCES = Path(__file__).parent
DATA = SOURCES.parents[3] / "gateway" / "demo" / "data"

HEADING_SIZES = {"# ": 18, "## ": 13}
BODY_SIZE = 11


def render(source: Path) -> bytes:
    """Return the PDF of one source: A4, the document's own fonts, the same bytes for the same text."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.set_producer("Braid demo")
    pdf.set_compression(False)
    pdf.set_auto_page_break(True, margin=25)
    pdf.set_margins(25, 25, 25)
    pdf.add_page()
    for block in source.read_text(encoding="utf-8").strip().split("\n\n"):
        _write(pdf, block)
    return bytes(pdf.output())


def _write(pdf: FPDF, block: str) -> None:
    for mark, size in HEADING_SIZES.items():
        if block.startswith(mark):
            pdf.set_font("Helvetica", style="B", size=size)
            pdf.multi_cell(0, 8, block.removeprefix(mark), new_x="LMARGIN", new_y="NEXT")
            break
    else:
        pdf.set_font("Helvetica", size=BODY_SIZE)
        pdf.multi_cell(0, 6.5, " ".join(block.split()), align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)


def target(source: Path) -> Path:
    """Where the PDF of a source belongs in the package."""
    return DATA / source.parent.name / "documents" / f"{source.stem}.pdf"


def main() -> None:
    """Writes every PDF again."""
    for source in sorted(SOURCES.glob("*/*.md")):
        target(source).write_bytes(render(source))


if __name__ == "__main__":
    main()
