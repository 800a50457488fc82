import random
import tracemalloc

from gateway.conversations.near_duplicates import NearDuplicates


def make_texts(count: int) -> list[str]:
    rng = random.Random(1)
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(180)) for _ in range(count)]


def test_of_each_text_a_few_kilobytes_are_kept_however_long_it_is() -> None:
    texts = make_texts(400)
    tracemalloc.start()
    try:
        NearDuplicates().find(texts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / len(texts) < 8 * 1024


def test_texts_that_are_alike_are_found_among_many() -> None:
    texts = make_texts(300)
    changed = " ".join(["other", *texts[7].split()[1:]])
    pairs = NearDuplicates().find([*texts, changed, texts[11].upper()])
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 300), (11, 301)]
    assert 0.8 <= pairs[0].similarity < 1.0 == pairs[1].similarity
