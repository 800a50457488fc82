from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from gateway.evaluation.report_template import render_report


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a package of its own for each test, since Python remembers them by name."""
    folder = tmp_path / f"room_of_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_page_has_its_time_its_style_and_escaped_values(package: Path) -> None:
    (package / "page.jinja").write_text("{{ created }}|{{ style }}|{{ text }}|{{ chart }}")
    page = render_report(package.name, "page.jinja", 1_700_000_000, text="<b>", chart=Markup("<svg/>"))
    created, style, text, chart = page.split("|")
    assert created == "2023-11-14 22:13 UTC"
    assert '"Segoe UI"' in style
    assert (text, chart) == ("&lt;b&gt;", "<svg/>")


def test_a_value_that_a_template_lacks_is_an_error(package: Path) -> None:
    (package / "page.jinja").write_text("{{ missing }}")
    with pytest.raises(UndefinedError, match="missing"):
        render_report(package.name, "page.jinja", 0)
