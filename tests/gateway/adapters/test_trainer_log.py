"""What a job's owner may read of the trainer's words."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.trainer import summarise_log
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
        ('connection to server at "db-7", port 5432 failed', 'connection to server at "…", port 5432 failed'),
        (
            "qdrant.prod.svc or db.eu-1.rds.amazonaws.com refused; torch.nn.net.x stays",
            "… or … refused; torch.nn.net.x stays",
        ),
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


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}-?[a-z0-9]{1,6}", fullmatch=True)
OWN = st.builds("{}.{}".format, LABEL, st.sampled_from(["internal", "local", "prod.svc", "corp.example.com", "lan"]))
FRAMES = [  # of psycopg, httpcore, urllib3, aiohttp, Python's ssl and libpq
    "failed to resolve host '{}': [Errno -2] Name or service not known",
    'could not translate host name "{}" to address: Name or service not known',
    'connection to server at "{}", port 5432 failed: Connection refused',
    "HTTPConnectionPool(host='{}', port=6333): Max retries exceeded",
    "Failed to resolve '{}' ([Errno -2] Name or service not known)",
    "Cannot connect to host {}:6333 ssl:default [Connect call failed]",
    "Hostname mismatch, certificate is not valid for '{}'.",
    "host={} user=braid dbname=braid",
    "http://{}:8001/v1 answered with 502",
    "{}:6333 doesn't answer",
]


@settings(max_examples=60, deadline=None)
@given(LABEL | OWN, st.sampled_from(FRAMES))
def test_no_host_stays_where_a_library_names_one(host: str, frame: str) -> None:
    assert blur(frame.format(host)) == re.sub(r"(http://)?{}(:\d+)?(/v1)?", "…", frame)


@settings(max_examples=40, deadline=None)
@given(OWN, st.sampled_from(["{} is away", "no answer from {}.", "({}): timed out", "peer {}, port 1"]))
def test_no_host_with_a_private_ending_stays_anywhere(host: str, frame: str) -> None:
    assert blur(frame.format(host)) == frame.format("…")


def test_the_end_of_a_log_is_one_sentence(tmp_path: Path) -> None:
    log = tmp_path / "ftjob-1.3.log"
    assert summarise_log(log) == "It left no log."
    log.write_text("")
    assert summarise_log(log) == "Its log is empty."
    log.write_text("first\n" * 10_000 + "Traceback\n\n  File /a/b/c.py\nValueError: odd\n")
    assert summarise_log(log).endswith("ftjob-1.3.log, ends: first | Traceback | File …/c.py | ValueError: odd")
    log.write_text("x" * 100_000)
    assert len(summarise_log(log)) < 700
