"""What a job's owner may read of the trainer's words."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.trainer import summarize_log
from gateway.errors import blur


@pytest.mark.parametrize(
    ("text", "blurred"),
    [
        ("The rows can't be read: /var/lib/braid/rows.jsonl.", "The rows can't be read: …/rows.jsonl."),
        ('File "/home/ann b/training/loop.py", line 7', 'File "…/loop.py", line 7'),
        ("connect to http://10.0.0.7:8001/v1 failed", "connect to … failed"),
        ("connect to 10.0.0.7:8001 or gpu-3:8001 failed", "connect to … or … failed"),
        ("at 0x7f3a90ff", "at …"),
        (r"open C:\Users\x or 'D:\a\base.bin' or \\nas\share\y failed", "open …/x or '…/base.bin' or …/y failed"),
        ("connect to fe80::1%eth0 or ::1 or 2001:db8:0:0:0:0:0:1 failed", "connect to … or … or … failed"),
        ("Pool(host='gpu-3', port=8001); gpu-3.internal is gone", "Pool(host='…', port=8001); … is gone"),
        (r"at 12:30:45 a::b and the host of ft:base:kestrel:style:00000000 \d+\w",) * 2,
        ("Make one with POST /api/prompts; GET /v1/models lists them.",) * 2,
        ("[Errno 28] No space left on device: '/srv/braid/work/x'", "[Errno 28] No space left on device: '…/x'"),
        ("~/models/base and ./rows", "…/base and …/rows"),
        (
            "Lower 1/2 and/or tokens/s; torch 2.11.0 at step 3: ok",
            "Lower 1/2 and/or tokens/s; torch 2.11.0 at step 3: ok",
        ),
        (
            "Memory ran out (tried 2.00 GiB). Lower micro_batch_tokens.",
            "Memory ran out (tried 2.00 GiB). Lower micro_batch_tokens.",
        ),
    ],
)
def test_paths_and_addresses_are_blurred_and_words_are_not(text: str, blurred: str) -> None:
    assert blur(text) == blurred


NAME = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAME, min_size=2, max_size=5), st.sampled_from(["{}", "'{}'", '"{}"', "({}): no", "x={}, y"]))
def test_no_folder_of_a_path_stays(names: list[str], frame: str) -> None:
    folders = [f"folder-{name}" for name in names[:-1]]
    text = blur(frame.format("/" + "/".join([*folders, names[-1]])))
    assert "folder-" not in text
    assert re.search(re.escape(names[-1].split(":")[0]), text)


def test_the_end_of_a_log_is_one_sentence(tmp_path: Path) -> None:
    log = tmp_path / "ftjob-1.3.log"
    assert summarize_log(log) == "It left no log."
    log.write_text("")
    assert summarize_log(log) == "Its log is empty."
    log.write_text("first\n" * 10_000 + "Traceback\n\n  File /a/b/c.py\nValueError: odd\n")
    assert summarize_log(log).endswith("ftjob-1.3.log, ends: first | Traceback | File …/c.py | ValueError: odd")
    log.write_text("x" * 100_000)
    assert len(summarize_log(log)) < 700
