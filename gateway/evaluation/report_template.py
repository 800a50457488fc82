"""The frame of every report's page: its template, the style sheet, and when the report was made."""

import time
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

__all__ = ["render_report"]


def render_report(package: str, template: str, created_at: float, **values: Any) -> str:
    """Return a page that needs nothing but itself, from a template among the package's files.

    Every value that isn't `Markup` is escaped. The template has `style` and `created` besides them.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string((files(package) / template).read_text(encoding="utf-8")).render(
        style=Markup((files("gateway.evaluation") / "report.css").read_text(encoding="utf-8")),
        created=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(created_at)),
        **values,
    )
