import re

import pytest

from gateway.evaluation.svg import WIDTH, draw_panels


@pytest.mark.parametrize("label", ["store", "support-docs, weights 1:0", "x" * 200])
def test_a_label_has_room_in_its_chart_or_is_shortened_and_told_whole(label: str) -> None:
    svg = draw_panels([label], [("title", "series-1", [None])], "chart")
    match = re.search(r'class="label" x="([\d.]+)"[^>]*>([^<]*)', svg)
    assert match is not None
    assert len(match[2]) * 7 <= float(match[1]) < WIDTH / 2
    assert (match[2] == label) == (len(label) < 40)
    assert f"<title>{label}</title>" in svg
