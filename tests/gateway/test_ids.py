import subprocess
import sys
import time

import pytest

from gateway import ids
from gateway.ids import follow_id, new_id, seconds_of

FORKS = """
import os
from gateway.ids import new_id

for _ in range(3):
    if os.fork() == 0:
        print(*(new_id("vs_")[-12:] for _ in range(8)), flush=True)
        os._exit(0)
    os.wait()
"""


def test_ids_sort_by_the_time_and_differ_at_the_same_one() -> None:
    made = [new_id("file-") for _ in range(2_000)]
    assert [id[:-12] for id in made] == sorted({id[:-12] for id in made})
    assert len({id[-12:] for id in made}) == len(made)
    assert len({len(id) for id in made}) == 1
    assert seconds_of(made[0], made[1]) is not None
    assert seconds_of(made[0], new_id("vs_")) is None


def test_a_forked_process_has_numbers_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    assert len(set(done.stdout.split())) == 24


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The wall clock of ids in whole seconds, of a process that has made none."""
    made = [1_800_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: made[0] * 1_000_000_000)
    monkeypatch.setattr(ids, "_moments", type(ids._moments)())
    return made


def test_ids_sort_by_creation_also_where_a_clock_is_set_back_by_minutes(clock: list[int]) -> None:
    made = [new_id("file-")]
    for seconds in (-5, -1_800, 1_700, 0, -60, 500):
        clock[0] += seconds
        made += [new_id("file-") for _ in range(3)]
    assert made == sorted(made)


def test_a_clock_that_was_a_year_ahead_leaves_no_mark_on_later_ids(clock: list[int]) -> None:
    clock[0] += 365 * 86_400
    new_id("file-")
    clock[0] = 1_800_000_000
    assert seconds_of(new_id("file-"), "file-" + 25 * "0") == clock[0]


def test_ids_of_one_process_follow_those_of_another_whose_clock_is_ahead(clock: list[int]) -> None:
    theirs = [f"job_{(clock[0] + seconds) * 1_000_000:013x}{12 * 'f'}" for seconds in (600, 86_400)]
    for id in (*theirs, "job_of-another-form"):
        follow_id(id)
    assert theirs[0][4:] < new_id("job_")[4:] < theirs[1][4:]
