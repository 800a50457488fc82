import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from training.dataset import Message, check_rows
from training.errors import TrainingError
from training.rendered_rows import RowsFile, encode_rendered_rows, read_rendered_rows

USER = {"role": "user", "content": "When do you open?"}
REPLY = {"role": "assistant", "content": "At nine, aye."}
ROWS: dict[int, list[dict[str, Any]]] = {4: [USER, REPLY], 2: [USER, {**REPLY, "weight": 1}]}


def write(path: Path, content: bytes) -> RowsFile:
    path.write_bytes(content)
    return RowsFile(str(path), hashlib.sha256(content).hexdigest())


def test_rows_keep_their_numbers_and_messages(tmp_path: Path) -> None:
    file = write(tmp_path / "rows", encode_rendered_rows(ROWS))
    result = read_rendered_rows(file, code="bad")
    assert [row.number for row in result.rows] == [2, 4]
    assert result.rows[0].messages == msgspec.convert(ROWS[2], list[Message])
    assert result.digest == file.digest


def test_the_file_is_a_training_file_in_the_format_that_was_uploaded() -> None:
    content = encode_rendered_rows(ROWS)
    assert content.count(b"\n") == 4
    assert check_rows(content).rows == 2
    assert check_rows(content).problems == []


def test_equal_rows_give_equal_bytes() -> None:
    assert encode_rendered_rows(ROWS) == encode_rendered_rows(dict(reversed(ROWS.items())))
    assert encode_rendered_rows({}) == b""


def test_a_file_without_a_digest_is_taken_as_it_is_and_named(tmp_path: Path) -> None:
    file = write(tmp_path / "rows", encode_rendered_rows(ROWS))
    assert read_rendered_rows(RowsFile(file.path), code="bad").digest == file.digest


def test_other_bytes_than_those_of_the_digest_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "rows", encode_rendered_rows(ROWS))
    Path(file.path).write_bytes(encode_rendered_rows({2: [USER, {**REPLY, "content": "At ten, aye."}]}))
    with pytest.raises(TrainingError, match="not those that this run was made for") as caught:
        read_rendered_rows(file, code="bad")
    assert caught.value.code == "rows_changed"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file") as caught:
        read_rendered_rows(RowsFile(str(tmp_path / "rows")), code="bad")
    assert caught.value.code == "bad"


def test_bad_rows_and_rows_that_nobody_rendered_are_refused_by_number(tmp_path: Path) -> None:
    passages = {"passages": [{"title": "Hours", "text": "From nine."}]}
    lines = [{"messages": [USER, REPLY], "braid": passages}, {"messages": [USER, REPLY]}, {"messages": [USER]}]
    file = write(tmp_path / "rows", b"\n".join(msgspec.json.encode(line) for line in lines))
    with pytest.raises(TrainingError, match="Row 1: Its passages are in no prompt") as caught:
        read_rendered_rows(file, code="bad")
    assert caught.value.code == "bad"
    assert [problem.row for problem in caught.value.problems] == [1, 3]


@pytest.mark.parametrize("digest", ["", "abc", "A" * 64, "0" * 63, "0" * 65])
def test_a_digest_has_64_hex_digits(digest: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "rows", "digest": digest}, RowsFile)
