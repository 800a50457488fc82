"""Subtitles and transcripts (WebVTT, SubRip) → what is said, in paragraphs, each with the time at which it begins."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean_visible, describe_comments
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_subtitles"]

_TIME = r"(?:(\d{1,3}):)?(\d\d):(\d\d)[.,](\d{1,3})"
_TIMING = re.compile(rf"[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}(?:[ \t].*)?")
_GAP = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SETTINGS = re.compile(r"(?:STYLE|REGION)[ \t]*(?:\n|\Z)")
_NOTE = re.compile(r"NOTE(?:[ \t\n]+|\Z)")
_HEADER = re.compile(
    r"WEBVTT(?:[ \t]+(?:-[ \t]*)?(?P<title>.*))?(?:\n|\Z)(?:(?:Kind|Language|X-TIMESTAMP-MAP)[:=].*(?:\n|\Z))*"
)
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]+([^\s<>][^<>\n]*)>")
_TAG = re.compile(
    r"</?[ibu]>|</?(?:c|v|ruby|rt|lang)(?:\.[^\s<>]*)?(?:[ \t][^<>]*)?>|</?font\b[^<>]*>|<[\d:]+:\d\d\.\d{3}>"
    r"|\{\\[a-z][^{}]*\}",
    re.I,
)
_SENTENCE_END = re.compile(r"[.!?。！？…]['\"”»)]*\Z")
_SPOKEN = re.compile(r"(?P<name>[^\W\d_][^:\n]{0,40}):[ \t]")
_LONG, _LONGEST = 400, 800
"""Characters after which a paragraph ends with the sentence, and in any case: speech that a program wrote down may have
no sentences."""
_PAUSE = 4.0
_SLACK = 0.1
"""Seconds: of a silence that begins a paragraph, and between captions of which the next one goes on with the last."""


@dataclass(frozen=True, slots=True)
class _Cue:
    begin: float
    end: float
    lines: list[str] = field(default_factory=list[str])


def parse_subtitles(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Take what is said: numbers, places and colours of captions go, and lines that captions say again as they roll on.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    writer = TextWriter()
    text = clean_visible(content.text)
    title = ""
    if (header := _HEADER.match(text)) is not None:
        title = (header["title"] or "").strip()
        text = text[header.end() :]
    comments: list[str] = []
    for paragraph in _gather(_read_cues(text, comments, is_web=header is not None)):
        writer.add_paragraph(paragraph)
    if warning := describe_comments(comments):
        writer.warnings.append(warning)
    return writer.finish(content.media_type, title)


def _read_cues(text: str, comments: list[str], *, is_web: bool) -> Iterator[_Cue]:
    """Yield the captions, and text without a time with the one before it; only WebVTT has notes, settings and names."""
    cue = _Cue(0, 0)
    for block in _GAP.split(text.strip("\n")):
        if is_web and (note := _NOTE.match(block)) is not None:
            comments.append(block[note.end() :])
            continue
        if is_web and _SETTINGS.match(block):
            continue
        name_at = 1 if is_web else 0
        above = 0
        for line in block.split("\n"):
            if (timing := _TIMING.fullmatch(line)) is None:
                cue.lines.append(line)
                above += 1
                continue
            if above and (above == name_at or cue.lines[-1].strip().isdecimal()):
                cue.lines.pop()
            if cue.lines:
                yield cue
            begin, end = _read_times(timing)
            cue = _Cue(begin, end)
            above = name_at = 0
    if cue.lines:
        yield cue


def _read_times(timing: re.Match[str]) -> Iterator[float]:
    for hours, minutes, seconds, fraction in (timing.groups()[:4], timing.groups()[4:]):
        yield int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction}")


def _gather(cues: Iterable[_Cue]) -> Iterator[str]:
    """Yield paragraphs: one ends with its speaker, at a pause, or once it is long at the end of a sentence."""
    words: list[str] = []
    size = 0
    begin = end = 0.0
    last = speaker = ""
    for cue in cues:
        lines = [(line, "<v" in one) for one in cue.lines if (line := _read_line(one))]
        if lines and lines[0][0] == last and cue.begin <= end + _SLACK:
            del lines[0]
        for line, is_marked in lines:
            name = match["name"] if (match := _SPOKEN.match(line)) is not None else ""
            is_long = size >= _LONGEST or (size >= _LONG and _SENTENCE_END.search(words[-1]))
            if words and ((name and name != speaker) or is_long or cue.begin > end + _PAUSE):
                yield f"{_show(begin)} {' '.join(words)}"
                words, size = [], 0
            if match is not None and name == speaker and is_marked and words:
                line = line[match.end() :]
            if not words:
                begin = cue.begin
            speaker = name or speaker
            words.append(line)
            size += len(line)
            end = max(end, cue.end)
        last = _read_line(cue.lines[-1]) if cue.lines else last
        end = max(end, cue.end)
    if words:
        yield f"{_show(begin)} {' '.join(words)}"


def _read_line(line: str) -> str:
    return " ".join(unescape(_TAG.sub("", _SPEAKER.sub(r"\1: ", line))).split())


def _show(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"[{minutes // 60:02}:{minutes % 60:02}:{second:02}]"
