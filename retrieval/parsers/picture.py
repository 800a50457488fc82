"""Pictures, such as scans and photographs of documents, by OCR."""

from itertools import accumulate

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.ocr import INSTALL, OcrMissing, Recogniser
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean

__all__ = ["SIGNATURES", "parse_picture"]

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"RIFF": "image/webp",
    b"GIF8": "image/gif",
}


def parse_picture(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the text of a picture; each picture of a TIFF file is a page.

    Raises:
        DocumentUnreadable: No OCR program is installed, a limit, broken, or no text in it.
    """
    media_type = next(kind for start, kind in SIGNATURES.items() if content.data.startswith(start))
    recogniser = Recogniser(limits)
    if not recogniser.is_installed:
        raise OcrMissing("unsupported_file", f"The file is a picture ({media_type}). {INSTALL}")
    pages = [clean(page).strip() for page in recogniser.read(content.data).rstrip("\f\n ").split("\f")]
    if not any(pages):
        raise DocumentUnreadable("empty_file", "No text can be read in the picture. Upload one with text.")
    starts = list(accumulate((len(page) + 1 for page in pages[:-1]), initial=0))
    return ParsedDocument(media_type, "", "\f".join(pages), [], starts)
