"""Each option of a release: what it may be, and that the release keeps it and is another one by it."""

from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from gateway.assistants.schemas import ReleaseCreate, RolloutUpdate
from tests.fakes.passages import FakePassages
from tests.gateway.conftest import Gateway

RELEASES = "/api/assistants/support/releases"
BOOST = {"attribute": "area", "weight": 0.5, "value": "kettles"}
RECENT = {"attribute": "saved", "weight": -0.25, "half_life_days": 90.0}
KEPT: dict[str, Any] = {
    "top_k": 6,
    "score_threshold": 0.25,
    "mode": "degrade",
    "filters": {"type": "eq", "key": "area", "value": "kettles"},
    "least_probability": 0.4,
    "rerank": True,
    "links": "any",
    "rewrite": "auto",
    "max_per_document": 2,
    "boosts": [BOOST, RECENT],
    "expand": "section",
    "passage_characters": 500,
}
"""An option of the retrieval by name, with a value that isn't the one it has where nothing is said."""
PLAIN: dict[str, Any] = {
    "top_k": 5,
    "score_threshold": 0,
    "mode": "required",
    "filters": None,
    "least_probability": 0.3,
    "rerank": False,
    "links": "given",
    "when": "auto",
    "rewrite": "never",
    "max_per_document": None,
    "collapse_duplicates": True,
    "boosts": [],
    "expand": "none",
    "passage_characters": None,
}
"""What each means where nothing is said."""


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages) -> httpx2.AsyncClient:
    client = await gateway.tenant("kestrel")
    await client.post("/api/assistants", json={"name": "support"})
    return client


async def release(client: httpx2.AsyncClient, store: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """Make a release, and return its fingerprint and how it searches."""
    made = await client.post(RELEASES, json={"retrieval": {"vector_stores": [store], **options}})
    assert made.status_code == 201, made.text
    newest = (await client.get(RELEASES, params={"limit": 1, "order": "desc"})).json()["data"][0]
    return made.json()["fingerprint"], newest["spec"]["retrieval"]


async def test_each_option_is_kept_under_its_name_and_makes_another_release(client: httpx2.AsyncClient) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    plain, spec = await release(client, store)
    fingerprints = {plain}
    for name, value in KEPT.items():
        fingerprint, changed = await release(client, store, **{name: value})
        assert changed == spec | {name: value}
        assert fingerprint not in fingerprints, name
        fingerprints.add(fingerprint)
    # What was always so before there was the option isn't written down.
    fingerprint, changed = await release(client, store, when="always")
    assert changed == {name: value for name, value in spec.items() if name != "when"}
    assert fingerprint not in fingerprints
    fingerprint, changed = await release(client, store, least_probability=0)
    assert changed == {name: value for name, value in spec.items() if name != "least_probability"}
    assert fingerprint not in fingerprints
    fingerprint, changed = await release(client, store, collapse_duplicates=False)
    assert changed == {name: value for name, value in spec.items() if name != "collapse_duplicates"}
    assert fingerprint not in fingerprints


async def test_an_option_that_says_what_holds_anyway_makes_the_same_release(client: httpx2.AsyncClient) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    plain, _ = await release(client, store)
    assert (await release(client, store, **PLAIN))[0] == plain


@pytest.mark.parametrize(
    ("path", "least", "most", "step"),
    [
        ("retrieval.top_k", 1, 50, 1),
        ("retrieval.score_threshold", 0, 1, 0.01),
        ("retrieval.least_probability", 0, 1, 0.01),
        ("retrieval.max_per_document", 1, 50, 1),
        ("retrieval.passage_characters", 500, 200_000, 1),
        ("boost.weight", -1, 1, 0.01),
        ("boost.half_life_days", 0.001, 36_500, 1),
        ("sampling.temperature", 0, 2, 0.01),
        ("sampling.top_p", 0, 1, 0.01),
        ("sampling.max_tokens", 1, 1_000_000, None),
        ("sampling.presence_penalty", -2, 2, 0.01),
        ("sampling.frequency_penalty", -2, 2, 0.01),
    ],
)
def test_a_number_may_be_at_its_bound_and_not_beyond(path: str, least: float, most: float, step: float | None) -> None:
    for value in (least, most):
        check_option(path, value)
    below = least - (step or 1) if least else -0.01
    for value in (below, *(() if step is None else (most + step,))):
        with pytest.raises(ValidationError, match=path.partition(".")[2]):
            check_option(path, value)


def check_option(path: str, value: float) -> None:
    """Read a request for a release with this value."""
    part, _, name = path.partition(".")
    if part == "sampling":
        ReleaseCreate.model_validate({"sampling": {name: value}})
        return
    boosted = {**(RECENT if name == "half_life_days" else BOOST), name: value}
    options = {"boosts": [boosted]} if part == "boost" else {name: value}
    ReleaseCreate.model_validate({"retrieval": {"vector_stores": ["vs"], **options}})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vector_stores": ["vs"] * 11}, "at most 10"),
        ({"boosts": [BOOST] * 9}, "at most 8"),
        ({"boosts": [{**BOOST, "half_life_days": 1}]}, "either a value or half_life_days"),
        ({"boosts": [{"attribute": "area", "weight": 0.5}]}, "either a value or half_life_days"),
        ({"boosts": [{**BOOST, "attribute": ""}]}, "at least 1 character"),
        ({"boosts": [{**BOOST, "attribute": "a" * 65}]}, "at most 64 characters"),
        ({"boosts": [{**BOOST, "value": "a" * 513}]}, "at most 512 characters"),
        ({"boosts": [{**BOOST, "weight": float("nan")}]}, "finite number"),
        ({"boosts": [{**RECENT, "half_life_days": 0}]}, "greater than 0"),
        ({"boosts": [{**BOOST, "factor": 2}]}, "Extra inputs"),
        ({"expand": "page"}, "'none', 'neighbours' or 'section'"),
        ({"links": "none"}, "'given' or 'any'"),
        ({"when": "never"}, "'auto' or 'always'"),
        ({"rewrite": True}, "'never', 'auto' or 'always'"),
    ],
)
def test_an_option_that_could_not_be_meant_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ReleaseCreate.model_validate({"retrieval": {"vector_stores": ["vs"], **options}})


@pytest.mark.parametrize("options", [{"vector_stores": ["vs"] * 10}, {"boosts": [BOOST] * 8}])
def test_as_many_as_may_be_are_taken(options: dict[str, Any]) -> None:
    ReleaseCreate.model_validate({"retrieval": {"vector_stores": ["vs"], **options}})


@pytest.mark.parametrize("value", ["a" * 512, True, 0, 1.5])
def test_a_boost_s_value_keeps_its_type(value: object) -> None:
    request = ReleaseCreate.model_validate(
        {"retrieval": {"vector_stores": ["vs"], "boosts": [{**BOOST, "value": value}]}}
    )
    assert request.retrieval is not None
    read = request.retrieval.boosts[0].value
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"force": True}, "force takes a reason"),
        ({"force": True, "reason": "  "}, "at least 1 character"),
        ({"force": True, "reason": "r" * 1001}, "at most 1000 characters"),
        ({"force": "yes", "reason": "r"}, "valid boolean"),
    ],
)
def test_nobody_forces_a_rollout_without_a_reason(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RolloutUpdate.model_validate({"stages": [{"release": 1}], "revision": 0, **change})
    whole = RolloutUpdate.model_validate(
        {"stages": [{"release": 1}], "revision": 0, "force": True, "reason": "r" * 1000}
    )
    assert whole.force
