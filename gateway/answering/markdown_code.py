"""Code in a growing Markdown text, so that what reads the prose leaves it alone."""

import re
from dataclasses import dataclass, field

from gateway.answering.markdown_blocks import BlockReader

__all__ = ["CODE", "NOTHING", "CodeScanner", "MaskedText"]

CODE = "\0"
_SPAN = 2000  # characters; a run of backticks that isn't closed within as many is text
_TICKS = re.compile(r"\\.|`+", re.DOTALL)
_DELIMITERS = re.compile(r"[ \t>]*+(?=[^|]*\|)[-:| \t]*+[\r\n]*|[ \t>]*+:?-+:?[ \t]*[\r\n]*")
_RUNS = re.compile("`+")
_TELLING = re.compile(r"[\r\n`\\]")
_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_NOT_BLANK = re.compile(r"[^\n]")
# In these a backtick is no code's beginning, to some or to all renderers; those that are whole have none.
_WHOLE = re.compile(r"\]\([^()\s`\"'<>\\]*(?: \"[^\"`\\]*\")?\)|\]: ?[^\s`<>\\]+(?=\s)|<[A-Za-z/!?][^<>`]*>")
_OPEN = re.compile(r"\]\(|\]:|<[A-Za-z/!?]")


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A piece of the text, with what stands in its place for those who read it; all of one length.

    Attributes:
        text: As it is.
        plain: With spaces for what opens containers at the beginning of a line, such as a quote's `>`.
        links: `plain` with `CODE` for each character that is certainly code.
        marks: `plain` with `CODE` for each that is code to any reader.
    """

    text: str = ""
    plain: str = ""
    links: str = ""
    marks: str = ""

    def __add__(self, other: "MaskedText") -> "MaskedText":
        if not self.text:
            return other
        if not other.text:
            return self
        return MaskedText(
            self.text + other.text, self.plain + other.plain, self.links + other.links, self.marks + other.marks
        )

    def cut(self, start: int, end: int | None = None) -> "MaskedText":
        """Return the characters from `start` to `end`."""
        return MaskedText(self.text[start:end], self.plain[start:end], self.links[start:end], self.marks[start:end])

    def reveal(self, start: int) -> "MaskedText":
        """Return it with no code from `start` on for those who read links."""
        return MaskedText(self.text, self.plain, self.links[:start] + self.plain[start:], self.marks)


NOTHING = MaskedText()


@dataclass(slots=True)
class CodeScanner:
    """Takes a text in pieces and returns it masked, however it was cut.

    Withheld is what can't be judged before more has come: the first characters of a line, code spans, and a lone
    backtick until its paragraph ends. Code is certain where no HTML was before it, and no stray backtick and no half of
    a link in its paragraph: renderers differ in what they take for code then.
    """

    _blocks: BlockReader = field(default_factory=BlockReader)
    _begin: str = ""
    _carriage: str = ""
    _in_line: bool = False
    _in_code: bool = False
    _ends: bool = False
    _rest: str = ""
    _rest_plain: str = ""
    _prose: list[str] = field(default_factory=list[str])
    _unsure: bool = False
    _doubtful: bool = False
    _table: bool = False
    _waits_from: int | None = None
    _out: list[MaskedText] = field(default_factory=list[MaskedText])

    @property
    def is_idle(self) -> bool:
        """Whether it stands in the middle of prose, so that a piece without a sign of Markdown is prose."""
        return self._in_line and not (self._in_code or self._rest or self._carriage or self._waits_from is not None)

    def note(self, text: str) -> None:
        """Take a piece without a sign of Markdown while it is idle."""
        self._prose.append(text)

    def feed(self, text: str) -> MaskedText:
        """Take the next piece; return what is judged by now."""
        if self.is_idle and not _TELLING.search(text):
            self._prose.append(text)
            return MaskedText(text, text, text, text)
        text, self._carriage = self._carriage + text, ""
        if text.endswith("\r"):  # a line ends with one of them, or with one and a line feed
            text, self._carriage = text[:-1], "\r"
        for line in _LINES.findall(text):
            self._take(line)
        return self._flush()

    def finish(self) -> MaskedText:
        """Return what was withheld; the text is whole."""
        if self._carriage:
            self._take(self._carriage)
        if self._begin:
            self._open_line(self._begin)
        self._scan(final=True)
        self._waits_from = None
        return self._flush()

    def _flush(self) -> MaskedText:
        if self._waits_from is None:
            out, self._out = self._out, []
        else:
            out, self._out, self._waits_from = self._out[: self._waits_from], self._out[self._waits_from :], 0
        if len(out) <= 1:
            return out[0] if out else NOTHING
        return MaskedText(
            *("".join(parts) for parts in zip(*((m.text, m.plain, m.links, m.marks) for m in out), strict=True))
        )

    def _take(self, part: str) -> None:
        """Take a line, or a part of one."""
        whole = part.endswith(("\n", "\r"))
        if not self._in_line:
            self._begin += part
            if not whole and self._blocks.is_undecided(self._begin):
                return
            self._open_line(self._begin)
        elif self._in_code:
            self._add_code(part)
        else:
            self._add_text(part, part)
        if whole:
            self._in_line = self._in_code = False
            if self._ends:
                self._scan(final=True)

    def _open_line(self, beginning: str) -> None:
        line = self._blocks.read(beginning.rstrip("\r\n"))
        self._begin, self._in_line, self._ends = "", True, line.ends
        self._in_code = line.kind in ("code", "fence", "indented")
        if not line.continues:
            self._scan(final=True)
            self._table = False
        self._judge_table(beginning)
        if self._in_code:
            if line.kind == "indented" or (line.kind == "fence" and "|" in beginning):
                self._wait()
            self._add_code(beginning)
            return
        self._doubtful = self._doubtful or line.kind == "tag"
        self._add_text(beginning, " " * line.begin + beginning[line.begin :])

    def _judge_table(self, line: str) -> None:
        """Tell whether the line before heads a table, whose bars end cells even in code, to some renderers."""
        rows = "-" in line and _DELIMITERS.fullmatch(line) is not None
        self._table = self._table or rows
        if self._waits_from is not None:
            if rows:
                self._doubtful = True
                self._out[self._waits_from :] = [one.reveal(0) for one in self._out[self._waits_from :]]
            self._waits_from = None

    def _wait(self) -> None:
        """Withhold what comes until the next line has told whether this one heads a table."""
        if self._waits_from is None:
            self._waits_from = len(self._out)

    def _add_code(self, text: str) -> None:
        mask = _NOT_BLANK.sub(CODE, text)
        self._out.append(MaskedText(text, text, text if self._doubtful else mask, mask))

    def _add_text(self, text: str, plain: str) -> None:
        self._rest += text
        self._rest_plain += _end_lines(plain)
        self._scan(final=False)

    def _scan(self, *, final: bool) -> None:
        """Let go of what is judged; `final` says that the paragraph ends here."""
        text, plain, at, from_ = self._rest, self._rest_plain, 0, 0
        while (ticks := _TICKS.search(plain, from_)) is not None:
            if ticks.group()[0] == "\\":
                from_ = ticks.end()
                continue
            if ticks.end() == len(plain) and not final:
                break
            end = _find_end(plain, ticks, final=final)
            if end is None:
                break
            self._pass_prose(text[at : ticks.start()], plain[at : ticks.start()])
            if end:
                self._pass_span(text[ticks.start() : end], plain[ticks.start() : end])
                at = from_ = end
            else:
                self._unsure = True
                self._pass_prose(ticks.group(), ticks.group())
                at = from_ = ticks.end()
        stop = len(plain) if ticks is None else ticks.start()
        if ticks is None and not final and plain.endswith("\\") and from_ < len(plain):
            stop -= 1
        self._pass_prose(text[at:stop], plain[at:stop])
        self._rest, self._rest_plain = text[stop:], plain[stop:]
        if final:
            self._prose, self._unsure = [], False

    def _pass_prose(self, text: str, plain: str) -> None:
        if text:
            self._prose.append(plain)
            self._out.append(MaskedText(text, plain, plain, plain))

    def _pass_span(self, text: str, plain: str) -> None:
        if not self._unsure:
            self._unsure = _OPEN.search(_WHOLE.sub("", "".join(self._prose))) is not None
            self._prose = []
        cut = "|" in text or "\n" in plain  # to readers of tables, which end cells and paragraphs in the middle of code
        if cut:
            self._wait()
        mask = CODE * len(text)
        self._out.append(
            MaskedText(
                text,
                plain,
                plain if self._unsure or self._doubtful or (self._table and cut) else mask,
                mask,
            )
        )


def _find_end(plain: str, ticks: re.Match[str], *, final: bool) -> int | None:
    """Return where the span that a run of backticks opens ends; 0 if it opens none, None if more text has to tell."""
    length = len(ticks.group())
    limit = ticks.start() + _SPAN
    for run in _RUNS.finditer(plain, ticks.end()):
        if run.end() > limit:
            return 0
        if len(run.group()) == length:
            return run.end() if final or run.end() < len(plain) else None
    return 0 if final or len(plain) > limit else None


def _end_lines(text: str) -> str:
    """Return a text of equal length whose lines end with a line feed alone."""
    return text.replace("\r\n", " \n").replace("\r", "\n") if "\r" in text else text
