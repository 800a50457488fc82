from pathlib import Path

import pytest

from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.parsers import ParseLimits, parse

pytestmark = pytest.mark.model


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_parses_in_a_child(tmp_path: Path) -> None:
    parsed = await parse(written(tmp_path / "upload", "# Kestrel K2\n\n31 months\n"), "k2.md")
    assert (parsed.media_type, parsed.title, parsed.text) == (
        "text/markdown",
        "Kestrel K2",
        "# Kestrel K2\n\n31 months\n",
    )


async def test_a_refusal_comes_back_with_its_code(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="is empty") as caught:
        await parse(written(tmp_path / "upload", ""), "k2.md")
    assert caught.value.code == "empty_file"


async def test_a_file_name_is_only_data(tmp_path: Path) -> None:
    parsed = await parse(written(tmp_path / "upload", "words"), "--help; $(x)\0\n.txt")
    assert parsed.text == "words"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ParseLimits(input_bytes=1000), "larger than 1000 bytes"),
        (ParseLimits(characters=1000), "5000000 characters of text; the limit is 1000"),
        (ParseLimits(memory=60 * 1024**2), "memory"),
        (ParseLimits(wall_seconds=0.001), "longer than 0.001 s"),
    ],
)
async def test_what_goes_over_a_limit_is_refused(tmp_path: Path, limits: ParseLimits, says: str) -> None:
    path = written(tmp_path / "upload", "# big\n" * 100 + "word " * 999_880)
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        await parse(path, "big.md", limits)
    assert caught.value.code == "invalid_file"


async def test_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(RetrieverFailed, match="can't be opened"):
        await parse(tmp_path / "none", "a.md")
