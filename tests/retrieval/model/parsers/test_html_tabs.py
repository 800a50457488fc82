import pytest
from lxml import html

from retrieval.parsers.child import read_document
from retrieval.parsers.html_tabs import open_tab_panels
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from tests.processor_time import measure

pytestmark = pytest.mark.model

READ = "Before.\n\nLinux\n\nRun apt.\n\nWindows\n\nRun winget."


def read(body: str) -> ParsedDocument:
    return read_document(f"<html><body>{body}</body></html>".encode(), "upload", ParseLimits())


@pytest.mark.parametrize(
    "tabs",
    [
        # Sphinx
        "<div role=tablist><button role=tab id=t1>Linux</button><button role=tab id=t2>Windows</button></div>"
        "<div role=tabpanel aria-labelledby=t1><p>Run apt.</p></div>"
        "<div role=tabpanel aria-labelledby=t2 hidden><p>Run winget.</p></div>",
        # Docusaurus
        "<div><ul role=tablist><li role=tab>Linux</li><li role=tab>Windows</li></ul><div>"
        "<div role=tabpanel>Run apt.</div><div role=tabpanel hidden>Run winget.</div></div></div>",
        # Material for MkDocs
        "<div><input type=radio><input type=radio><div><label>Linux</label><label>Windows</label></div>"
        "<div><div><p>Run apt.</p></div><div><p>Run winget.</p></div></div></div>",
        # VitePress
        "<div><div><input type=radio><label>Linux</label><input type=radio><label>Windows</label></div>"
        "<div><div>Run apt.</div><div>Run winget.</div></div></div>",
        # sphinx-design
        "<div><input type=radio><label>Linux</label><div>Run apt.</div><input type=radio><label>Windows</label>"
        "<div>Run winget.</div></div>",
        # Panels that begin with their tab's name
        "<div><ul role=tablist><li role=tab>Linux</li><li role=tab>Windows</li></ul><div role=tabpanel><p>Linux</p>"
        "<p>Run apt.</p></div><div role=tabpanel><b>Windows</b><p>Run winget.</p></div></div>",
    ],
)
def test_a_tabs_name_stands_at_the_beginning_of_its_panel(tabs: str) -> None:
    assert read(f"<p>Before.</p>{tabs}").text == READ


def test_tabs_in_a_panel_have_their_own_panels() -> None:
    inner = (
        "<div><ul role=tablist><li role=tab>X</li><li role=tab>Y</li></ul><p role=tabpanel>1<p role=tabpanel>2</div>"
    )
    tabs = "<ul role=tablist><li role=tab>A</li><li role=tab>B</li></ul>"
    page = read(f"<div>{tabs}<div role=tabpanel>{inner}</div><div role=tabpanel>3</div></div>")
    assert page.text.split() == ["A", "X", "1", "Y", "2", "B", "3"]


@pytest.mark.parametrize(
    "tabs",
    [
        "<ul role=tablist style='display:none'><li role=tab>Obey me</li><li role=tab>Now</li></ul>",
        "<ul role=tablist><li role=tab hidden>Obey me</li><li role=tab aria-hidden=true>Now</li></ul>",
    ],
)
def test_the_names_of_hidden_tabs_are_no_text(tabs: str) -> None:
    page = read(f"<div>{tabs}<div role=tabpanel>Run apt.</div><div role=tabpanel>Run winget.</div></div>")
    assert page.text == "Run apt.\n\nRun winget."


@pytest.mark.parametrize(
    "unseen", ["<span hidden>Obey me</span>", "<script>obey()</script>", "<template>Obey</template>"]
)
def test_what_nobody_sees_of_a_tab_is_no_name(unseen: str) -> None:
    page = read(f"<ul role=tablist><li role=tab>Linux{unseen}</li></ul><div role=tabpanel>Run apt.</div>")
    assert page.text == "Linux\n\nRun apt."
    assert len(page.warnings) == ("script" not in unseen)


def test_a_panel_in_its_own_tab_is_not_lost() -> None:
    tab = "<div role=tab id=t1>Linux <div role=tabpanel aria-labelledby=t1>Run apt.</div></div>"
    assert read(f"<div role=tablist>{tab}</div>").text == "Linux\n\nRun apt."


def test_a_tabs_name_is_no_part_of_its_panels_code() -> None:
    tabs = "<ul role=tablist><li role=tab>Linux</li></ul><pre role=tabpanel>apt\nls</pre>"
    assert read(tabs).text == "Linux\n\napt\nls"


def test_labels_before_a_program_keep_their_names() -> None:
    labels = "<div><input type=radio><label>A</label><input type=radio><label>B</label></div>"
    assert read(f"{labels}<div><script>x</script><div>one</div></div>").text == "A\n\nB\n\none"


def test_labels_that_are_no_tabs_stay_where_they_are() -> None:
    assert read("<p><label>Colour</label> <label>Size</label></p><div><p>red</p><p>large</p></div>").text == (
        "Colour Size\n\nred\n\nlarge"
    )


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("<pre><span class=linenos>1</span>import loom\n<span class=linenos>2</span>loom.start()</pre>", None),
        (
            "<table><tr><td class=linenos><div class=linenodiv><pre>1\n2</pre></div></td>"
            "<td class=code><pre>import loom\nloom.start()</pre></td></tr></table>",
            None,
        ),
        ("<pre><span class=lineno>v2</span> import loom</pre>", "v2 import loom"),
        ("<p>Pass <span class=linenos>linenos</span></p>", "Pass linenos"),
        (
            "<table><tr><td class=gutter><pre>1\n2</pre></td>"
            "<td class=code><pre>import loom\nloom.start()</pre></td></tr></table>",
            None,
        ),
        (
            "<table><tr><th>Line</th><th>Item</th></tr><tr><td class=line-number>10</td><td>Loom</td></tr>"
            "<tr><td class=line-number>20</td><td>Wool</td></tr></table>",
            "Line | Item\n10 | Loom\n20 | Wool",
        ),
        ("<div class='row gutter'>1200</div><p>looms sold</p>", "1200\n\nlooms sold"),
    ],
)
def test_the_numbers_of_a_listings_lines_are_no_code(code: str, text: str | None) -> None:
    assert read(code).text == (text or "import loom\nloom.start()")


def test_a_mark_that_leads_to_its_own_term_is_no_text() -> None:
    page = read("<dl><dt>loom.reset()<a class=headerlink href='#r'>¶</a></dt><dd>Resets. <a href='#x'>✓</a></dd></dl>")
    assert page.text == "loom.reset()\nResets. ✓"


@pytest.mark.parametrize(
    "page",
    [
        "<ul role=tablist><li role=tab>A</li></ul><p role=tabpanel>1</p>" * 1600,
        "<div><label>A</label><label>B</label></div><p><b>1</b><b>2</b></p>" * 500 + "<br>" * 20_000,
    ],
)
def test_a_part_with_many_rows_of_tabs_is_looked_through_once(page: str) -> None:
    text = f"<html><body>{page}</body></html>"
    assert measure(lambda: open_tab_panels(html.document_fromstring(text))) < 0.6
