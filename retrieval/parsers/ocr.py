"""Pictures of text → text, by the program `tesseract` where it is installed."""

import shutil
import subprocess
import time

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed_document import ParseLimits

__all__ = ["INSTALL", "OcrMissing", "Recogniser", "find_program"]

INSTALL = (
    "Install tesseract where the retriever runs (Debian and Ubuntu: apt install tesseract-ocr, and tesseract-ocr-deu "
    "and the like for more languages), then upload it again; or upload the result of another OCR program."
)
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
_RESERVE_SECONDS = 5.0
_NO_LANGUAGES = ("osd", "equ")


class OcrMissing(DocumentUnreadable):
    """All that there is to read is in pictures, and no OCR program is installed."""


def find_program() -> str | None:
    """Return the path of the OCR program; None where it isn't installed."""
    return shutil.which("tesseract", path=_PATH)


class Recogniser:
    """The installed program, with all its languages, until a document's time is over.

    Attributes:
        is_installed: Else `read` refuses.
    """

    def __init__(self, limits: ParseLimits) -> None:
        self._program = find_program()
        self._deadline = time.monotonic() + limits.wall_seconds - _RESERVE_SECONDS
        self._cpu_deadline = time.process_time() + limits.cpu_seconds - _RESERVE_SECONDS
        self._seconds = limits.wall_seconds
        self._languages = ""
        self.is_installed = self._program is not None

    @property
    def has_time(self) -> bool:
        """Whether another picture may be drawn and read before the document's time is over."""
        return time.monotonic() < self._deadline and time.process_time() < self._cpu_deadline

    def read(self, picture: bytes) -> str:
        """Return the text of a picture; pages of one file end with a form feed.

        Raises:
            DocumentUnreadable: No program, broken, too large, or the time is over.
        """
        if not self._languages:
            lines = self._run("--list-langs").decode(errors="replace").splitlines()[1:]
            self._languages = "+".join(line.strip() for line in lines if line.strip() not in _NO_LANGUAGES)
        if not self._languages:
            raise DocumentUnreadable("unsupported_file", f"tesseract has no language to read. {INSTALL}")
        return self._run("stdin", "stdout", "-l", self._languages, picture=picture).decode(errors="replace")

    def _run(self, *arguments: str, picture: bytes = b"") -> bytes:
        if self._program is None:
            raise OcrMissing("unsupported_file", f"Its text is in pictures. {INSTALL}")
        try:
            run = subprocess.run(
                [self._program, *arguments],
                input=picture,
                capture_output=True,
                timeout=max(self._deadline - time.monotonic(), 0.1),
                env={"OMP_THREAD_LIMIT": "1", "LANG": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DocumentUnreadable(
                "invalid_file", f"Reading its pictures took longer than {self._seconds:g} s. Split it."
            ) from error
        if run.returncode:
            reason = run.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it ran out of memory"]
            raise DocumentUnreadable(
                "invalid_file", f"tesseract can't read the picture ({reason[0][:200]}). Save it anew, or smaller."
            )
        return run.stdout
