"""Made-up pages of documentation: Markdown with headings and paragraphs of many lengths, the same each time."""

import random

__all__ = ["WORDS", "write_page"]

WORDS = (
    "the a of to and in for is with on that it as by this from can be when are or if not will each which one into at "
    "before after only where between until while also then other same new first last every more than its has used set "
    "kettle lid base warranty months price euros steel glass filter scale switch cord handle litre boil water heat "
    "order account invoice delivery address payment return refund customer service support store region language "
    "request answer server client error timeout retry key token limit queue worker process memory disk network file "
    "document page section heading paragraph index search passage question score threshold version release change "
    "install configure start stop check update remove report measure compare describe example default option value"
).split()


def write_page(number: int, *, sections: int = 8, seed: int = 0, line: str = "") -> str:
    """Return a page of about 130 words per section; `line` stands in the middle of it."""
    source = random.Random(f"{seed} {number}")
    parts = [f"# Page {number} of handbook {seed}"]
    for section in range(sections):
        if section == sections // 2 and line:
            parts.append(line)
        parts.append(f"## {' '.join(source.choices(WORDS, k=4)).capitalize()} {number}.{section}")
        parts += [_write_paragraph(source) for _ in range(source.randint(2, 4))]
    return "\n\n".join(parts) + "\n"


def _write_paragraph(source: random.Random) -> str:
    sentences = (" ".join(source.choices(WORDS, k=source.randint(6, 20))) for _ in range(source.randint(1, 6)))
    return " ".join(f"{sentence.capitalize()}." for sentence in sentences)
