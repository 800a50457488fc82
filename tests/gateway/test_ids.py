import subprocess
import sys

from gateway.ids import new_id, seconds_of

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
    ids = [new_id("file-") for _ in range(2_000)]
    assert [id[:-12] for id in ids] == sorted(id[:-12] for id in ids)
    assert len({id[-12:] for id in ids}) == len(ids)
    assert len({len(id) for id in ids}) == 1
    assert seconds_of(ids[0], ids[1]) is not None
    assert seconds_of(ids[0], new_id("vs_")) is None


def test_a_forked_process_has_numbers_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    assert len(set(done.stdout.split())) == 24
