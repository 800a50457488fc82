import pytest

from gateway.evaluation.even_sample import thin_out


@pytest.mark.parametrize(
    ("most", "chosen"), [(12, list(range(10))), (10, list(range(10))), (4, [0, 2, 5, 7]), (3, [0, 3, 6])]
)
def test_of_many_items_evenly_spaced_ones_are_chosen(most: int, chosen: list[int]) -> None:
    assert thin_out(range(10), most) == chosen
