"""The page behind a run's `report_url`: what it shows, to whom, and for how long."""

import time
from typing import Any

import httpx2
import pytest

from gateway.evals.report_link import check_link, make_link, make_secret
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.evals.conftest import EXACT, Evals, rows, sampled

LIKE: dict[str, Any] = {
    "type": "string_check",
    "name": "names <Paris>",
    "input": "{{ sample.output_text }}",
    "reference": "Paris",
    "operation": "like",
}


async def test_a_run_has_a_page_for_whoever_has_its_link(gateway: Gateway, evals: Evals, engine: FakeVllm) -> None:
    engine.reply = lambda chat: "Paris" if "France" in chat.last else "<script>alert(1)</script>"
    id = await evals.make(EXACT, LIKE, name="capitals & <b>")
    run = await evals.run(id, sampled(rows("France", "Norway", "Italy")), name="first <i>")
    url = httpx2.URL(run["report_url"])
    assert str(url).startswith(f"{gateway.url}/api/eval_runs/{run['id']}/report?")
    async with httpx2.AsyncClient() as browser:
        page = await browser.get(url)
        assert page.status_code == 200, page.text
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["cache-control"] == "private, no-store"
        text = page.text
        for words in (
            "capitals &amp; &lt;b&gt;",
            "first &lt;i&gt;",
            "exact",
            "names &lt;Paris&gt;",
            "33.3 %",
            "1 / 2 / 0",
        ):
            assert words in text, words
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)" in text
        assert ("Row 1: fail" in text, "Row 2: fail" in text, "Row 0" in text) == (True, True, False)
        # Nobody changes it, none is of another run, and it ends with the run.
        other = await evals.run(id, sampled(rows("France")))
        for changed in (
            url.copy_set_param("expires", str(int(url.params["expires"]) + 1)),
            url.copy_set_param("signature", "0" * 64),
            url.copy_set_param("signature", "ä"),
            url.copy_remove_param("signature"),
            url.copy_with(path=f"/api/eval_runs/{other['id']}/report"),
            url.copy_with(path="/api/eval_runs/evalrun_none/report"),
        ):
            refused = await browser.get(changed)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_link"), changed
        assert (await browser.get(other["report_url"])).status_code == 200
        await evals.ok("DELETE", f"/{id}/runs/{run['id']}")
        assert (await browser.get(url)).status_code == 401


def test_a_link_works_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = make_secret()
    link = httpx2.URL(make_link("http://braid.example/", "evalrun_1", secret))
    assert (link.host, link.path) == ("braid.example", "/api/eval_runs/evalrun_1/report")
    words = link.params["expires"], link.params["signature"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 23 * 3600)
    check_link("evalrun_1", *words, secret)
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    with pytest.raises(Exception, match="links work for a day"):
        check_link("evalrun_1", *words, secret)
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    with pytest.raises(Exception, match="links work for a day"):  # made by a clock that was a day ahead
        check_link("evalrun_1", *words, secret)
    monkeypatch.setattr(time, "time", lambda: now - 300)
    check_link("evalrun_1", *words, secret)  # by another gateway's, which is a little ahead
    assert make_link("http://braid.example", "evalrun_1", None) == ""


async def test_a_row_that_could_not_be_graded_says_why(evals: Evals) -> None:
    id = await evals.make({**EXACT, "reference": "{{ item.missing }}"})
    run = await evals.run(id, sampled(rows("France")))
    async with httpx2.AsyncClient() as browser:
        text = (await browser.get(run["report_url"])).text
    assert "Row 0: error" in text
    assert "missing" in text
