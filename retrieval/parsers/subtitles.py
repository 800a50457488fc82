"""Subtitles and transcripts (WebVTT, SubRip) → what is said, in paragraphs, each with the time at which it begins."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape

from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits
from retrieval.parsers.text import clean_visible, describe_comments
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_subtitles"]

_TIME = r"(?:(\d{1,3}):)?(\d\d):(\d\d)[.,](\d{3})"
_TIMING = re.compile(rf"[ \t]*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
_GAP = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SETTINGS = re.compile(r"(?:STYLE|REGION)[ \t]*(?:\n|\Z)")
_NOTE = re.compile(r"NOTE(?:[ \t\n]+|\Z)")
_HEADER = re.compile(r"WEBVTT(?:[ \t]+(?:-[ \t]*)?(?P<title>.*))?(?:\n|\Z)(?P<rest>(?s:.*))")
_METADATA = re.compile(r"^(?:Kind|Language|X-TIMESTAMP-MAP)[:=].*$", re.M)
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]+([^<>\n]+)>")
_TAG = re.compile(
    r"</?[ibu]>|</?(?:c|v|ruby|rt|lang)(?:\.[^\s<>]*)?(?:[ \t][^<>]*)?>|</?font\b[^<>]*>|<\d[\d:.]*>"
    r"|\{\\[a-z]+\d*[^{}]*\}",
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


@dataclass(slots=True)
class _Cue:
    begin: float
    end: float
    lines: list[str] = field(default_factory=list[str])


def parse_subtitles(content: FileContent, _limits: ParseLimits) -> Parsed:
    """Take what is said: numbers, places and colours of captions go, and lines that captions say again as they roll on.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    writer = TextWriter()
    text = clean_visible(content.text)
    title = ""
    if (header := _HEADER.match(text)) is not None:
        title = (header["title"] or "").strip()
        text = _METADATA.sub("", header["rest"])
    comments: list[str] = []
    for paragraph in _gather(_read_cues(text, comments)):
        writer.add_paragraph(paragraph)
    if warning := describe_comments(comments):
        writer.warnings.append(warning)
    return writer.finish(content.media_type, title)


def _read_cues(text: str, comments: list[str]) -> Iterator[_Cue]:
    """Yield the captions, and text without a time with the one before it."""
    cue = _Cue(0, 0)
    for block in _GAP.split(text.strip("\n")):
        if (note := _NOTE.match(block)) is not None:
            comments.append(block[note.end() :])
            continue
        if _SETTINGS.match(block):
            continue
        lines = block.split("\n")
        at = next((number for number, line in enumerate(lines) if _TIMING.fullmatch(line)), -1)
        if at < 0:
            cue.lines += lines
            continue
        if cue.lines:
            yield cue
        if at > 1:  # more than a name or a number
            yield _Cue(cue.end, cue.end, lines[: at - 1])
        begin, end = _read_timing(lines[at])
        cue = _Cue(begin, end, lines[at + 1 :])
    if cue.lines:
        yield cue


def _read_timing(line: str) -> tuple[float, float]:
    match = _TIMING.fullmatch(line)
    numbers = [int(number or 0) for number in match.groups()] if match is not None else [0] * 8
    begin, end = (
        hours * 3600 + minutes * 60 + seconds + thousandths / 1000
        for hours, minutes, seconds, thousandths in (numbers[:4], numbers[4:])
    )
    return begin, end


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
