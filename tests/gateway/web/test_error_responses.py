"""The errors that the OpenAPI lists; `tests.gateway.declared` holds every error of every test against them."""

import re

import httpx2
import pytest

from gateway.web.error_responses import declare_errors
from tests.architecture.test_routes import SIGNED
from tests.gateway.conftest import Gateway
from tests.gateway.declared import check_error, read_description


def test_every_route_with_a_key_lists_its_errors() -> None:
    keyed = [responses for _, _, responses in read_description() if "default" in responses]
    assert len(keyed) > 50
    assert all({"400", "401", "403", "500", "503"} <= set(responses) for responses in keyed)
    assert not any("422" in responses for responses in keyed)
    schemas = {
        response["content"]["application/json"]["schema"]["$ref"]
        for responses in keyed
        for status, response in responses.items()
        if not status.startswith("2")
    }
    assert schemas == {"#/components/schemas/ErrorResponse"}


def test_a_path_with_an_id_lists_404() -> None:
    """A signed link isn't told from one of something that isn't there."""
    signed = {re.sub(r"\{[^}]*\}", "[^/]+", path) for path in SIGNED}
    paths = [(path.pattern, set(responses)) for _, path, responses in read_description() if "+" in path.pattern]
    assert [path for path, responses in paths if "404" not in responses and path not in signed] == []


def test_statuses_are_in_order_and_503_says_when_to_try_again() -> None:
    declared = declare_errors(404, 409)
    assert list(declared) == [400, 401, 403, 404, 409, 413, 415, 500, 503, 507, "default"]
    assert "retry-after" in declared[503]["headers"]


async def test_an_error_that_is_not_listed_is_seen(gateway: Gateway) -> None:
    request = httpx2.Request("GET", f"{gateway.url}/v1/models")
    with pytest.raises(AssertionError, match="GET /v1/models: 418"):
        await check_error(httpx2.Response(418, request=request))
    await check_error(httpx2.Response(401, request=request, json=(await gateway.client("x").get("/v1/models")).json()))
