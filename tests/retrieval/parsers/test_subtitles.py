import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import PLAIN_TEXT, find_text_format
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.subtitles import parse_subtitles

VTT = """\
WEBVTT - Training of May
Kind: captions
Language: en

STYLE
::cue { color: white }

NOTE The words of somebody whom nobody who watches this ever sees.

intro
00:01.000 --> 00:04.000 align:start position:0%
<v Ann Lee>Welcome to the <c.yellow>kettle</c> talk &amp; tea.</v>

2
00:00:04.500 --> 00:00:08.000
<v Ann Lee>The K2 boils
a litre.</v>

01:00:02.000 --> 01:00:03.000
<v Ben>How long?
"""
SRT = """\
1
00:00:01,000 --> 00:00:04,000
{\\an8}The <i>K2</i> costs

49 euros,

2
00:00:04,000 --> 00:00:05,000
<font color="#fff">net.</font>
"""


def parse(text: str) -> ParsedDocument:
    return parse_subtitles(FileContent(text.encode(), "text/vtt", text), ParseLimits())


def test_what_is_said_has_its_speakers_and_times() -> None:
    parsed = parse(VTT)
    assert parsed.text.split("\n\n") == [
        "[00:00:01] Ann Lee: Welcome to the kettle talk & tea. The K2 boils a litre.",
        "[01:00:02] Ben: How long?",
    ]
    assert parsed.title == "Training of May"
    assert parsed.warnings == ["61 characters of text in comments were left out."]


def test_words_behind_a_blank_line_belong_to_their_caption() -> None:
    assert parse(SRT).text == "[00:00:01] The K2 costs 49 euros, net."


def test_words_that_look_like_tags_or_speakers_stay() -> None:
    cues = "00:01.000 --> 00:02.000\nPrice: 49\n<I think>\n\n00:02.000 --> 00:03.000\nPrice: 59 < b"
    assert parse(cues).text == "[00:00:01] Price: 49 <I think> Price: 59 < b"


def test_lines_that_captions_say_again_as_they_roll_on_stand_once() -> None:
    rolling = (
        "WEBVTT\n\n00:01.000 --> 00:03.000\nthe kettle\n\n00:03.000 --> 00:05.000\nthe kettle\nboils<00:04.000>"
        "<c> a</c>\n\n00:05.000 --> 00:07.000\nboils a\nlitre\n\n00:09.000 --> 00:10.000\nlitre\n"
    )
    assert parse(rolling).text == "[00:00:01] the kettle boils a litre litre"


def test_a_long_speech_is_cut_at_the_end_of_a_sentence() -> None:
    cues = "".join(
        f"{n}\n00:{n:02}:00,000 --> 00:{n + 1:02}:00,000\nSay {'it again ' * 9}\nnow.\n\n" for n in range(20)
    )
    paragraphs = parse(cues).text.split("\n\n")
    assert [one[:10] for one in paragraphs] == ["[00:00:00]", "[00:05:00]", "[00:10:00]", "[00:15:00]"]
    assert all(one.endswith("now.") for one in paragraphs)


def test_a_speech_without_sentences_is_cut_as_well() -> None:
    cues = "".join(f"00:{n:02}:00.000 --> 00:{n + 1:02}:00.000\n{n} {'and so on ' * 9}\n\n" for n in range(20))
    assert [len(one) < 950 for one in parse(cues).text.split("\n\n")] == [True] * 3


def test_a_text_without_times_is_no_subtitles() -> None:
    assert find_text_format("It costs 49 euros.\n", "talk.srt") is PLAIN_TEXT
    assert find_text_format(SRT, "talk.srt").kind == find_text_format(VTT, "talk.vtt").kind == "subtitles"
    with pytest.raises(DocumentUnreadable):
        parse("WEBVTT\n\n00:01.000 --> 00:02.000\n\n")


def test_words_that_only_the_head_of_webvtt_has_a_meaning_for_stay() -> None:
    cues = "00:01.000 --> 00:02.000\nLanguage: French\nx <5> y\n"
    assert parse(f"WEBVTT\nLanguage: en\n\n{cues}").text == "[00:00:01] Language: French x <5> y"
    assert parse(f"{cues}\nNOTE the price.\n\nSTYLE\nis all.\n").text.endswith("NOTE the price. STYLE is all.")
    assert parse(f"A film\n{cues}").text.startswith("[00:00:00] A film")


def test_captions_without_a_blank_line_between_them_are_several() -> None:
    cues = (f"{n}\n0:00:{n:02},5-->0:00:{n:02},75\n{1980 + n}\n" for n in (1, 9))
    assert parse("".join(cues)).text == "[00:00:01] 1981\n\n[00:00:09] 1989"


@given(
    st.lists(
        st.sampled_from("word;two words;;00:01.000 --> 00:02.000;00:00:09,000 --> 00:00:10,000;7;Ann: yes".split(";"))
    ).map("\n".join)
)
def test_no_word_of_a_caption_is_lost(text: str) -> None:
    text = f"00:00.000 --> 00:00.500\nfirst\n\n{text}\n\nlast"
    left = parse(text).text
    assert "first" in left
    assert left.endswith("last")
    for words in ("two words", "yes"):
        assert (words in left) == (words in text) or "-->" in text


def test_time_grows_with_the_length_of_subtitles_alone() -> None:
    endless = "<v" + " " * 30_000 + "\n{\\" + "a" * 30_000 + "\n{\\a" + "1" * 30_000
    begun = time.process_time()
    parse(f"00:01.000 --> 00:02.000\n{endless}")
    parse("00:01.000 --> 00:02.000\n" + "a <v b" * 50_000 + "\n\n" + "1\n00:01.000 --> 00:02.000\nb\nc\n\n" * 20_000)
    assert time.process_time() - begun < 5
