"""The API browser: everything it needs is in the package, and it asks for nothing from elsewhere."""

import re
from importlib.metadata import version
from urllib.parse import urljoin

import pytest

from tests.architecture.source import ROOT
from tests.gateway.conftest import Gateway

STATIC = ROOT / "gateway" / "web" / "static"
OURS = ("index.html", "braid.js", "braid.css", "braid.svg")


async def test_the_page_is_there_without_a_key(gateway: Gateway) -> None:
    async with gateway.client("none") as client:
        page = await client.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "http" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_all_that_the_page_names_is_served_from_the_package(gateway: Gateway) -> None:
    page = (await gateway.admin.get("/docs/")).text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {"swagger-ui-bundle.js", "swagger-ui.css", "braid.js"} <= set(named)
    for name in named:
        answer = await gateway.admin.get(urljoin("/docs/", name))
        assert answer.status_code == 200, name
        assert answer.headers["content-type"] != "text/plain; charset=utf-8"


async def test_a_file_that_stayed_the_same_is_not_sent_again(gateway: Gateway) -> None:
    first = await gateway.admin.get("/docs/swagger-ui.css")
    again = await gateway.admin.get("/docs/swagger-ui.css", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/../settings.py", "/docs/%2e%2e/state.py"])
async def test_nothing_else_is_served(gateway: Gateway, path: str) -> None:
    answer = await gateway.admin.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"


async def test_the_description_asks_for_a_bearer_key(gateway: Gateway) -> None:
    described = (await gateway.admin.get("/openapi.json")).json()
    assert described["info"]["version"] == version("braid-gateway")
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert described["paths"]["/v1/models"]["get"]["security"] == [{"HTTPBearer": []}]


@pytest.mark.parametrize("name", OURS)
def test_no_file_of_ours_names_another_place(name: str) -> None:
    text = (STATIC / name).read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]", text.replace("// ", ""))


def test_the_library_comes_with_its_licence() -> None:
    assert "Apache License" in (STATIC / "LICENSE").read_text()
    assert "sourceMappingURL" not in (STATIC / "swagger-ui.css").read_text()
    for name in ("NOTICE", "swagger-ui-bundle.js.LICENSE.txt"):
        assert (STATIC / name).stat().st_size
