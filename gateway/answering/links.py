"""Links and images in an answer's text, of which only those go through whose address was in the prompt.

A document may tell a model to write `![](https://its.own.host/?q=what the user said)`, and a client that shows the
answer asks that host for the picture. So an address that leaves the client's own host goes through only if the model
was given the very same one: by a passage, by the client's messages or by the prompt's template.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.answering.markdown_code import CODE, NOTHING, MaskedText

__all__ = ["BEGINNING", "LinkFilter"]

_LINK_REMOVED, _IMAGE_REMOVED = "(link removed)", "(image removed)"
_LONGEST_BEGINNING = 8
_LONGEST = 2000  # characters of a link's text, of an address or of a tag
_OF_ADDRESSES = r"!#-;=?-_a-~\u00a1-\u0dff"  # not `<>"`, space, nor scripts that put no spaces between words
_NO_WORD = r"(?<![A-Za-z0-9+.-])"
_CANDIDATE = re.compile(
    r"!?\[(?!\d{1,3}\][^(:\[])|\][:(]|<|(?P<address>:(?:(?i:(?<=mailto:)|(?<=xmpp:))|//)|[wW](?<![A-Za-z0-9+.-].)[wW]{2}\.)"
    r"|(?P<undecided>[\]!]\Z|:/?\Z)"
)
_NAME = re.compile(rf"{_NO_WORD}(?:https?|ftp|mailto|xmpp)\Z", re.I)
_LONGEST_NAME = 6
BEGINNING = re.compile(
    rf"{_NO_WORD}(?:h(?:t(?:t(?:ps?)?)?)?|f(?:tp?)?|m(?:a(?:i(?:l(?:to?)?)?)?)?|x(?:m(?:pp?)?)?"
    r"|w(?:ww?)?)\Z",
    re.I,
)
"""The end of a text that may be an address' beginning."""
_RUN = re.compile(rf"[{_OF_ADDRESSES}]*")
_BRACKETS = re.compile(r"\[|\]\(")
_CLOSING = "?!.,:;*_~')]}|»"
_MOST_CLOSING = 4  # characters of an address' end that may be the sentence's
_GIVEN_END = rf"/?(?:\Z|[^{_OF_ADDRESSES}]|[)\]}}|»]|[?!.,:;*_~']+(?:\Z|[^{_OF_ADDRESSES}]|[)\]}}]))"
_BRACKET = re.compile(r"\\.|[\[\]]|\n[ \t]*\n", re.S)
_PARENTHESIS = re.compile(rf"\\.|[()\s<{CODE}]", re.S)
_SPACE = re.compile(r"\s*")
_ANGLE_END = re.compile(r"[>\n]")
_TITLE_END = re.compile(r"\s*(?:\"[^\"]*\"|'[^']*'|\([^()]*\))?\s*\)")
_TITLE = re.compile(r"\s*(?:\"[^\"]*(?:\"\s*)?|'[^']*(?:'\s*)?|\([^()]*(?:\)\s*)?)?\Z")
_DEFINITION = re.compile(rf"\]:[ \t]*\n?[ \t]*(?P<target><[^<>\n]*>?|[^\s<>{CODE}]*)")
_ANGLE = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*(?P<end>>)?")
_TAG = re.compile(
    r"<(?P<name>/?[A-Za-z][A-Za-z0-9-]*)"
    r"(?P<fields>(?:\s+[A-Za-z_:][\w:.-]*(?:\s*=\s*(?:[^\s\"'=<>`]+|'[^']*'|\"[^\"]*\"))?)*)\s*/?>"
)
_TOKEN = re.compile(r"[^\s\"'<>=]*(?:[:\\&]|//)[^\s\"'<>]*")
_TAG_BEGINNING = re.compile(r"<(?=[A-Za-z/!?])")
_VALUE = re.compile(r"=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")
_RUNS = re.compile(r"\s(?:on\w+|style|srcset|ping|http-equiv)\b", re.I)
_AUTOLINK = re.compile(
    rf"<(?:[a-z][a-z0-9+.-]{{1,31}}:/|(?:https?|ftp|mailto|xmpp|tel|sms|javascript|vbscript|data|file|blob):)"
    rf"[^\s<>{CODE}]*>",
    re.I,
)
# An attribute with what an address needs that leaves the host, or that hides that it does.
_LEAVES = re.compile(r"=.*?(?:[:\\&]|//)", re.S)
_ACTIVE = frozenset(("script", "style", "svg", "math", "base", "meta", "link", "iframe", "object", "embed"))
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.|[/\\]{2}", re.S)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
# A link whose text begins and ends like a word's, on one line: without its target the text around it means the same.
_SIMPLE = re.compile(r"!?\[[^\W_](?:[^\n`<>\[\]\\]*[^\W_])?\]\([^\n`]*\)")
_BESIDE_LINKS = {"]": "([:", ":": "/", "/": "/", "`": f"`{CODE}", CODE: f"`{CODE}"}


@dataclass(frozen=True, slots=True)
class _Link:
    """Places of an inline link: its text from `begin` to `close`, and its `end`."""

    begin: int
    close: int
    end: int


class _Undecided(Exception):
    """More text may change what this is."""


@dataclass(slots=True)
class LinkFilter:
    """Lets a masked text through piece by piece, without the addresses that the model wasn't given.

    A link or an image with one becomes its text, or "(image removed)" where it has none; a bare address becomes
    "(link removed)"; a tag loses its attributes. Paths on the client's own host (`/api/…`, `#part`) stay, and so does
    code. Once something was altered by which the text's structure may have changed, code after it is judged, too.

    Attributes:
        read_given: Returns the texts in which the addresses may be that were given; called once, and not before an
            address is met.
        removed: The number of addresses that were left out.
    """

    read_given: Callable[[], str]
    removals: int = 0
    _prompt: str | None = None
    _pending: MaskedText = NOTHING
    _last: str = "\n"
    _back: str = "\n"
    _joins: bool = False
    _altered: bool = False
    _swallows: bool = False
    _out: list[MaskedText] = field(default_factory=list[MaskedText])

    def feed(self, piece: MaskedText) -> MaskedText:
        """Take the next piece; return what may be sent now."""
        if not piece.text:
            return piece
        if self._altered:
            piece = piece.reveal(0)
        self._pending += piece
        return self._run(final=False)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is withheld or to be watched for, so that a piece without a sign of an address is text."""
        return not (self._pending.text or self._joins or self._swallows)

    def note(self, text: str) -> None:
        """Take a piece without a sign of an address while it is idle."""
        self._last = self._back = text[-1]

    def finish(self) -> MaskedText:
        """Return what was withheld; the text is whole."""
        return self._run(final=True)

    def _run(self, *, final: bool) -> MaskedText:
        # The character before stays in front, for what has to look back.
        self._pending = _mask(self._back) + self._pending
        at = 1
        if self._swallows:
            run = _RUN.match(self._pending.links, at)
            at = run.end() if run else at
            self._swallows = at == len(self._pending.text)
        try:
            while (candidate := _CANDIDATE.search(self._pending.links, at)) is not None:
                begin = self._find_begin(candidate, at)
                self._emit(self._pending.cut(at, begin))
                at = begin
                at = self._judge(candidate, begin, final=final)
            begin = max(at, len(self._pending.text) - _LONGEST_BEGINNING)
            if not final and (beginning := BEGINNING.search(self._pending.links, begin)):
                self._emit(self._pending.cut(at, beginning.start()))
                at = beginning.start()
                raise _Undecided
        except _Undecided:
            self._back, self._pending = self._pending.links[at - 1], self._pending.cut(at)
        else:
            self._emit(self._pending.cut(at))
            self._back, self._pending = self._pending.links[-1], NOTHING
        out, self._out = self._out, []
        return sum(out[1:], out[0]) if out else NOTHING

    def _find_begin(self, candidate: re.Match[str], at: int) -> int:
        """Return where a candidate begins: an address with the name of its scheme."""
        begin = candidate.start()
        if candidate.group()[0] == ":":
            name = _NAME.search(self._pending.links, max(at, begin - _LONGEST_NAME), begin)
            return name.start() if name else begin
        return begin

    def _judge(self, candidate: re.Match[str], at: int, *, final: bool) -> int:
        """Judge what begins at a candidate; return where to go on.

        Raises:
            _Undecided: Not before more text is there.
        """
        word = candidate.group()
        if candidate["undecided"]:
            if not final:
                raise _Undecided
            return self._keep(at, len(word))
        if candidate["address"]:
            return self._judge_address(at, final=final)
        if word == "]:":
            return self._judge_definition(at, final=final)
        if word == "](":
            return self._judge_target(at, final=final)
        if word == "<":
            return self._judge_tag(at, final=final)
        return self._judge_link(at, at + len(word), final=final)

    def _judge_address(self, at: int, *, final: bool) -> int:
        text = self._pending.links
        run = _RUN.match(text, at)
        assert run is not None
        if len(run.group()) > _LONGEST:
            self._swallows = run.end() == len(text)
            return self._remove(run.end())
        if run.end() == len(text) and not final:
            raise _Undecided
        address = _BRACKETS.split(run.group(), maxsplit=1)[0]
        words = address.rstrip(_CLOSING)
        for end in range(min(len(address), len(words) + _MOST_CLOSING), len(words) - 1, -1):
            if self._is_given(address[:end]):
                return self._keep(at, end)
        return self._remove(at + (len(words) or len(address)))

    def _judge_target(self, at: int, *, final: bool) -> int:
        """Judge the target of what may be a link to a reader who finds its beginning elsewhere, such as in code."""
        start, end = self._find_target(at + 1, final=final)
        if self._may_go(self._pending.links[start:end]):
            return self._keep(at, 2)
        end = self._find_link_end(end, final=final)
        self._keep(at, 1)
        return self._remove(end, alters=True)

    def _judge_definition(self, at: int, *, final: bool) -> int:
        text = self._pending.links
        match = _DEFINITION.match(text, at)
        assert match is not None
        if match.end() == len(text) and len(match.group()) <= _LONGEST and not final:
            raise _Undecided
        if match["target"] and not self._may_go(match["target"]):
            self._keep(at, match.start("target") - at)
            return self._remove(match.end(), alters=True)
        return self._keep(at, 2)

    def _judge_tag(self, at: int, *, final: bool) -> int:
        text = self._pending.links
        if at + 1 == len(text) and not final:
            raise _Undecided
        if not re.match(r"[A-Za-z/]", text[at + 1 : at + 2]):
            return self._keep(at, 1)
        limit = self._find_limit(at)
        match = _ANGLE.match(text, at, limit)
        assert match is not None
        end = match.end()
        if match["end"] is None:
            if limit == len(text) and (end == limit or text[end] in "\"'") and not final:
                raise _Undecided
            end = limit if text.startswith(('"', "'"), end) else end
        if _AUTOLINK.fullmatch(text, at, end):
            return self._keep(at, end - at) if self._is_given(text[at + 1 : end - 1]) else self._remove(end)
        tag = _TAG.fullmatch(text, at, end)
        if tag is None:
            return self._break_tag(at, end) if _LEAVES.search(text, at, end) else self._keep(at, 1)
        if tag["name"].lower() in _ACTIVE:
            return self._break_tag(at, end)
        if not _LEAVES.search(tag["fields"]) or self._has_given_fields(tag["fields"]):
            return self._keep(at, end - at)
        self.removals += 1
        self._emit(_mask(f"<{tag['name']}>"))
        return self._alter(end)

    def _has_given_fields(self, fields: str) -> bool:
        """Tell whether every address in a tag's attributes was given, and nothing else is in them that could be one."""
        values = [value.strip("\"'") for value in _VALUE.findall(fields)]
        return not _RUNS.search(fields) and all(map(self._may_go, values))

    def _judge_link(self, at: int, begin: int, *, final: bool) -> int:
        link = self._find_link(begin, final=final)
        if link is None:
            return self._keep(at, begin - at)
        source = self._pending.links[at : link.end]
        words = LinkFilter(self.read_given, _prompt=self._prompt, _altered=self._altered, _last="\n")
        inner = words.feed(self._pending.cut(link.begin, link.close)) + words.finish()
        self.removals += 1 + words.removals
        if not inner.text.strip():
            inner = _mask(_IMAGE_REMOVED if source.startswith("!") else _LINK_REMOVED)
        simple = _SIMPLE.fullmatch(source) is not None
        if not simple:  # a tag that begins in it would end elsewhere
            for tag in reversed([*_TAG_BEGINNING.finditer(inner.links)]):
                inner = inner.cut(0, tag.end()) + _mask(" ") + inner.cut(tag.end())
        self._joins = True
        self._emit(inner)
        self._joins = True
        return link.end if simple else self._alter(link.end)

    def _find_link(self, begin: int, *, final: bool) -> _Link | None:
        """Find the inline link whose text begins here, if it is one that may not go through.

        Raises:
            _Undecided: Not before more text is there.
        """
        text, depth = self._pending.links, 1
        limit = self._find_limit(begin)
        for bracket in _BRACKET.finditer(text, begin, limit):
            depth += (bracket.group() == "[") - (bracket.group() == "]")
            if depth == 0:
                break
        else:
            if limit == len(text) and not final:
                raise _Undecided
            return None
        close = bracket.start()
        if close + 1 == len(text) and not final:
            raise _Undecided
        if not text.startswith("(", close + 1):
            return None
        start, end = self._find_target(close + 1, final=final)
        if self._may_go(text[start:end]):
            return None
        return _Link(begin, close, self._find_link_end(end, final=final))

    def _find_target(self, parenthesis: int, *, final: bool) -> tuple[int, int]:
        """Return where a link's target begins and ends, behind its parenthesis."""
        text = self._pending.links
        space = _SPACE.match(text, parenthesis + 1)
        start = space.end() if space else parenthesis + 1
        limit = min(len(text), start + _LONGEST)
        if text.startswith("<", start):
            end = _ANGLE_END.search(text, start, limit)
            if end is None and limit == len(text) and not final:
                raise _Undecided
            return start, limit if end is None else end.end()
        depth = 0
        for mark in _PARENTHESIS.finditer(text, start, limit):
            depth += (mark.group() == "(") - (mark.group() == ")")
            if depth < 0 or (mark.group() not in "()" and not mark.group().startswith("\\")):
                return start, mark.start()
        if limit == len(text) and not final:
            raise _Undecided
        return start, limit

    def _find_link_end(self, target_end: int, *, final: bool) -> int:
        text = self._pending.links
        limit = min(len(text), target_end + _LONGEST)
        if end := _TITLE_END.match(text, target_end, limit):
            return end.end()
        if limit == len(text) and not final and _TITLE.match(text, target_end):
            raise _Undecided
        return target_end

    def _find_limit(self, at: int) -> int:
        """Return how far a link's text or a tag that begins here may reach."""
        limit = min(len(self._pending.text), at + _LONGEST)
        end = _PARAGRAPH_END.search(self._pending.links, at, limit)
        return limit if end is None else end.start() + 1

    def _may_go(self, target: str) -> bool:
        """Tell whether a link may have this target: one on the client's own host, or one that was given."""
        target = target.removeprefix("<").removesuffix(">")
        address = html.unescape(_ESCAPE.sub(r"\1", target))
        if not _SCHEME.match(_UNSEEN.sub("", address)) and not _SCHEME.match(_UNSEEN.sub("", html.unescape(target))):
            return True
        return self._is_given(target) or self._is_given(address)

    def _is_given(self, address: str) -> bool:
        if self._prompt is None:
            self._prompt = self.read_given()
        address = address.rstrip("/")
        if len(address) < len("a://"):
            return False
        return address in self._prompt and bool(re.search(re.escape(address) + _GIVEN_END, self._prompt))

    def _keep(self, at: int, length: int) -> int:
        self._emit(self._pending.cut(at, at + length))
        return at + length

    def _remove(self, end: int, *, alters: bool = False) -> int:
        self.removals += 1
        self._joins = True
        self._emit(_mask(_LINK_REMOVED))
        self._joins = True
        return self._alter(end) if alters else end

    def _break_tag(self, at: int, end: int) -> int:
        """Make a tag text that no browser takes for one, whatever else is around it."""
        self.removals += 1
        self._emit(_mask("< " + _TOKEN.sub(_LINK_REMOVED, self._pending.text[at + 1 : end])))
        return self._alter(end)

    def _alter(self, at: int) -> int:
        """Note that from here on renderers may read the text otherwise than it was read here."""
        self._altered = True
        self._pending = self._pending.reveal(at)
        return at

    def _emit(self, piece: MaskedText) -> None:
        if not piece.text:
            return
        if self._joins:
            self._joins = False
            first, follows = piece.links[0], _BESIDE_LINKS.get(self._last, "")
            if first in follows or (self._last == "<" and (first.isalpha() or first in "/!?")):
                self._out.append(_mask(" "))
        self._out.append(piece)
        self._last = piece.links[-1]


def _mask(text: str) -> MaskedText:
    return MaskedText(text, text, text, text)
