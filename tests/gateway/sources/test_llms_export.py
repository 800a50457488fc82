import json
from pathlib import Path

from gateway.sources.web_client import WebResponse
from gateway.sources.web_list import read_llms_txt
from tests.gateway.sources.conftest import Sources


async def put(client: Sources, store: str, key: str, **attributes: object) -> None:
    await client.put(store, key, f"This is {key}.", headers={"braid-attributes": json.dumps(attributes)})


async def test_public_documents_alone_are_listed(kestrel: Sources, harbor: Sources, root: Path) -> None:
    store = await kestrel.store(name="Hand [book]", description="All about\n# K2")
    await put(kestrel, store, "a b.md", public=True, title="Opening](http://evil.example)", description="Hours.")
    await put(kestrel, store, "secret.md")
    await put(kestrel, store, "odd.md", public="true")
    await put(kestrel, store, "page.md", public=True, url="https://shop.example/page")
    await put(kestrel, store, "trap.md", public=True, url="javascript:x()")
    path = f"/api/vector_stores/{store}/llms.txt"
    assert "secret" not in (await kestrel.http.get(path)).text, "nothing is listed before it can be read"
    await kestrel.settle()
    answer = await kestrel.http.get(path, params={"base_url": "https://shop.example/docs/"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == (
        "# Hand \\[book\\]\n\n> All about # K2\n\n## Documents\n\n"
        "- [Opening\\]\\(http://evil.example\\)](https://shop.example/docs/a%20b.md): Hours.\n"
        "- [page.md](https://shop.example/page)\n"
        "- [trap.md](https://shop.example/docs/trap.md)\n"
    )
    links = read_llms_txt(WebResponse("https://shop.example/llms.txt", 200, {}, answer.content)).pages
    assert "https://shop.example/page" in links
    assert "http://evil.example/" not in links
    assert (await harbor.http.get(path)).status_code == 404
    assert (await kestrel.http.get(path, params={"base_url": "javascript:x"})).status_code == 400


async def test_an_edit_changes_the_list_when_it_is_live_and_files_go_by_their_names(kestrel: Sources) -> None:
    store = await kestrel.store(name="Hand")
    await put(kestrel, store, "page.md", public=True, title="Hours")
    file = await kestrel.file(b"Prices.", "price list.txt")
    added = {"file_id": file, "attributes": {"public": True}}
    await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json=added)
    await kestrel.settle()
    path = f"/api/vector_stores/{store}/llms.txt"
    listed = (await kestrel.http.get(path)).text
    assert listed.endswith("- [Hours](page.md)\n- [price list.txt](price%20list.txt)\n")
    attributes = {"braid-attributes": json.dumps({"public": True, "title": "Other hours"})}
    await kestrel.put(store, "page.md", b"\x00\x01\xffbad\x02", headers=attributes)
    assert (await kestrel.http.get(path)).text == listed
    await kestrel.settle()
    assert (await kestrel.http.get(path)).text == listed, "a failed edit leaves the page that answers"
    await put(kestrel, store, "page.md", public=False)
    await kestrel.settle()
    assert "page.md" not in (await kestrel.http.get(path)).text
