"""POD, reStructuredText, HTML and man pages → plain text: only as much of each as these sets need."""

import html
import re

__all__ = ["read_html", "read_man", "read_pod", "read_rst", "split_man"]

_POD_CODE = re.compile(r"[A-Z]<<?\s*((?:[^<>]|<[^<>]*>)*?)\s*>?>")
_BLOCK = re.compile(r"</?(p|div|ul|ol|li|table|tr|blockquote|h\d|pre|dt|dd|br)\b[^>]*>", re.IGNORECASE)
_CELL_END = re.compile(r"</t[dh]>\s*<t[dh]\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_FONT = re.compile(r"\\f(?:\[[^\]]*\]|\(..|.)|\\[,/&|^]|\\s[-+]?\d")
_ESCAPES = {r"\-": "-", r"\(aq": "'", r"\(lq": "“", r"\(rq": "”", r"\e": "\\", r"\ ": " ", r"\~": " ", r"\(bu": "•"}


def read_pod(text: str) -> str:
    """Return POD as text: directives that aren't shown are dropped, codes become their content."""
    lines = [line for line in text.splitlines() if not re.match(r"=(for|begin|end|over|back|encoding|cut)\b|X<", line)]
    text = "\n".join(lines).replace("E<lt>", "\1").replace("E<gt>", "\2")
    text = re.sub(r"^=item\s+", "- ", text, flags=re.MULTILINE)
    text = re.sub(r"L<(?:[^<>|]|<[^<>]*>)*\|?([^<>|]*)>", lambda link: link[0][2:-1].split("|")[0], text)
    for _ in range(3):
        text = _POD_CODE.sub(r"\1", text)
    return _squeeze(text.replace("\1", "<").replace("\2", ">"))


def read_rst(text: str) -> str:
    """Return reStructuredText as text: directives are dropped, roles and links become their content."""
    text = re.sub(r"^\.\. (?!note|seealso)[^\n]*\n(?:[ \t]+[^\n]*\n)*", "", text, flags=re.MULTILINE)
    text = re.sub(r":[\w:+-]+:`~?([^`<]*?)(?:\s*<[^>`]*>)?`", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^>`]*>`__?", r"\1", text)
    return _squeeze(text.replace("``", "").replace("::\n", ":\n"))


def read_html(text: str) -> str:
    """Return a piece of HTML as text with a line per block, and table cells apart by bars."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<!--.*?-->", "", text, flags=re.DOTALL | re.IGNORECASE)
    text = _BLOCK.sub("\n", _CELL_END.sub(" | ", text))
    text = html.unescape(_TAG.sub("", text)).replace("\xa0", " ").replace("¶", "")
    return _squeeze("\n".join(" ".join(line.split()) for line in text.splitlines()))


def read_man(text: str) -> str:
    """Return roff as text: macros give their arguments, comments and tables nothing."""
    lines: list[str] = []
    for line in text.splitlines():
        if re.match(r"""['.]\s*\\"|['.]\\"|\.\s*$|\.(TH|so|de|ie|el|if|nr|ds|ad|nh|hy|in|ne|TS|TE)\b""", line):
            continue
        match = re.match(r"[.'](\w+)\s*(.*)", line)
        if match:
            line = match[2].replace('"', "")
            if match[1] in ("PP", "TP", "IP", "LP", "P", "HP", "SS"):
                lines.append("")
        lines.append(line)
    text = _FONT.sub("", "\n".join(lines))
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return _squeeze(re.sub(r"\\[(\[*][^\s\]]{1,2}\]?", "", text))


def split_man(text: str) -> list[tuple[str, str]]:
    """Return the sections of a man page, as name and text."""
    parts = re.split(r"^\.SH\s+(.*)$", text, flags=re.MULTILINE)
    return [(name.strip().strip('"'), read_man(body)) for name, body in zip(parts[1::2], parts[2::2], strict=True)]


def _squeeze(text: str) -> str:
    return re.sub(r"\n\s*\n\s*", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()
