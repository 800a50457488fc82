"""Prompts of OpenAI's dashboard as templates of Braid's: `{{name}}` stays a name of the prompt's own."""

import re
from collections.abc import Mapping
from typing import Any, cast

from gateway.client import GatewayError
from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.report import ImportReport

__all__ = ["import_prompts", "to_template"]

_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 63
_MARK = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}|\{\{|\{%|\{#")
_SYSTEM_ROLES = ("system", "developer")


async def import_prompts(export: ExportFolder, gateway: Destination, report: ImportReport) -> None:
    """Make the versions of an export's prompts, oldest first, under their ids at OpenAI.

    A version whose template is there already isn't made again.
    """
    prompts = sorted(export.of("prompt").values(), key=_sort_by_version)
    counts = report.count("prompts")
    counts.total = len(prompts)
    for number, prompt in enumerate(prompts, 1):
        id, title = prompt["id"], str(prompt.get("name") or "")
        template, omissions = to_template(prompt)
        name = _NAME.sub("-", id).lstrip("_.-")[:_LONGEST_NAME]
        if not template:
            report.omit("prompts", id, title, "it has no text for the system: Braid's prompts begin with one")
        elif template in await _list_templates(gateway, name):
            counts.present += 1
        elif gateway.dry_run or await _create(gateway, report, id, name, template):
            counts.imported += 1
        if template:
            for reason in omissions:
                report.note("prompts", id, title, reason)
        gateway.show("prompts", number, len(prompts))


def to_template(prompt: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the template of a prompt ("" where it has no system text), and what of it isn't in there, with reasons."""
    omissions: list[str] = []
    texts = [str(prompt[name]) for name in ("instructions", "template", "content") if isinstance(prompt.get(name), str)]
    for message in _list_messages(prompt):
        text = _read_text(message.get("content"))
        if message.get("role") in _SYSTEM_ROLES:
            texts.append(text)
        else:
            omissions.append(
                f"a message of the role {message.get('role')!r} isn't taken: a prompt has the system's text, and the "
                "client sends the conversation"
            )
    if prompt.get("tools"):
        omissions.append(
            "its tools aren't taken: each request brings its own functions, and a release names its stores"
        )
    if isinstance(prompt.get("model"), str):
        omissions.append(f"its model {prompt['model']!r} isn't taken: a release says which model has which prompt")
    return "\n\n".join(_MARK.sub(_keep, text) for text in texts if text.strip()), omissions


def _keep(match: re.Match[str]) -> str:
    """Keep a name as Braid spells it, and print what Jinja would read."""
    return f"{{{{ {match[1]} }}}}" if match[1] else f"{{{{ '{match[0]}' }}}}"


def _list_messages(prompt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for name in ("messages", "input"):
        value = prompt.get(name)
        if isinstance(value, list):
            return [cast("Mapping[str, Any]", one) for one in cast("list[object]", value) if isinstance(one, Mapping)]
    return []


def _read_text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[object]", content) if isinstance(content, list) else []
    texts = [cast("Mapping[str, object]", part).get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _sort_by_version(prompt: Mapping[str, Any]) -> tuple[str, int]:
    version = str(prompt.get("version") or "0")
    return prompt["id"], int(version) if version.isdecimal() else 0


async def _list_templates(gateway: Destination, name: str) -> set[str]:
    """Return the templates of all versions of a prompt."""
    try:
        versions = [row["version"] async for row in gateway.client.read_rows(f"/api/prompts/{name}/versions")]
    except GatewayError as error:
        if error.status == 404:
            return set()
        raise
    return {(await gateway.client.get(f"/api/prompts/{name}@{one}"))["template"] for one in versions}


async def _create(gateway: Destination, report: ImportReport, id: str, name: str, template: str) -> bool:
    try:
        await gateway.create("/api/prompts", {"name": name, "template": template})
    except GatewayError as error:
        if not gateway.is_refusal(error):
            raise
        report.omit("prompts", id, name, str(error))
        return False
    return True
