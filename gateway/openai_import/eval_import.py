"""Evals with those of their criteria that can be graded here."""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from gateway.client import GatewayError
from gateway.counts import format_count
from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder, read_list, read_member
from gateway.openai_import.report import ImportReport, add_source

__all__ = ["import_evals"]

_MODEL_GRADERS = ("label_model", "score_model")
_GRADERS = ("string_check", "text_similarity", *_MODEL_GRADERS)

_NONE_LEFT = "none of its criteria can be graded here"
_CRITERION = re.compile(r"testing_criteria\[(\d+)\](?:\.(.+))?")

FindGrader = Callable[[str], str | None]


async def import_evals(
    export: ExportFolder, gateway: Destination, report: ImportReport, find_grader: FindGrader
) -> None:
    """Make an export's evals.

    `find_grader` says which model here grades for a hosted one; None for none.
    """
    evals = export.of("eval")
    counts = report.count("evals")
    counts.total = len(evals)
    there = await gateway.list_imported("/v1/evals")
    for number, (id, one) in enumerate(evals.items(), 1):
        if id in there:
            counts.present += 1
        elif await _import_eval(id, one, gateway, report, find_grader):
            counts.imported += 1
        gateway.show("evals", number, len(evals))
    runs = export.of("eval.run")
    if runs:
        report.count("eval_runs").total = len(runs)
        report.count("eval_runs").omitted = len(runs)
        words = format_count(len(runs), "run is of a hosted model, and stays", "runs are of hosted models, and stay")
        reason = f"{words} in the folder; their answers are compared with"
        report.note("eval_runs", "", "", reason)


async def _import_eval(
    id: str,
    one: Mapping[str, Any],
    gateway: Destination,
    report: ImportReport,
    find_grader: FindGrader,
) -> bool:
    name = str(one.get("name") or "")
    schema = _find_schema(read_member(one, "data_source_config"))
    if schema is None:
        kind = read_member(one, "data_source_config").get("type")
        report.omit("evals", id, name, f"its data are answers that OpenAI has stored ({kind}); there are none here")
        return False
    item_schema, has_sample = schema
    criteria: list[dict[str, Any]] = []
    for criterion in read_list(one, "testing_criteria"):
        ours = _adapt(criterion, find_grader)
        if isinstance(ours, str):
            report.note("evals", id, name, f"the criterion {criterion.get('name')!r} isn't taken: {ours}")
        else:
            criteria.append(ours)
    if not criteria:
        report.omit("evals", id, name, _NONE_LEFT)
        return False
    config = {"type": "custom", "item_schema": item_schema, "include_sample_schema": has_sample}
    metadata = add_source(report, "evals", id, one.get("metadata"))
    body = {"name": name or id, "data_source_config": config, "testing_criteria": criteria, "metadata": metadata}
    while not gateway.dry_run:
        error = await _create(body, gateway)
        if error is None:
            break
        refused = _leave_out(criteria, error)
        if refused:
            report.note("evals", id, name, refused)
        if not refused or not criteria:
            report.omit("evals", id, name, _NONE_LEFT if refused else str(error))
            return False
    return True


async def _create(body: Mapping[str, Any], gateway: Destination) -> GatewayError | None:
    """Make an eval; return the error where it is refused."""
    try:
        await gateway.create("/v1/evals", body)
    except GatewayError as error:
        if not gateway.is_refusal(error):
            raise
        return error
    return None


def _find_schema(config: Mapping[str, Any]) -> tuple[dict[str, Any], bool] | None:
    """Return the schema of an item, and whether rows have samples; None where the data aren't the client's own."""
    if config.get("type") != "custom":
        return None
    if isinstance(config.get("item_schema"), dict):
        return config["item_schema"], bool(config.get("include_sample_schema"))
    properties = read_member(read_member(config, "schema"), "properties")
    return read_member(properties, "item") or {"type": "object"}, "sample" in properties


def _leave_out(criteria: list[dict[str, Any]], error: GatewayError) -> str:
    """Take out what a refusal of the eval is about: a member that isn't known here, else its criterion.

    Returns:
        What isn't taken and why; "" where the refusal is about no criterion.
    """
    place = _CRITERION.fullmatch(error.param or "")
    if place is None or int(place[1]) >= len(criteria):
        return ""
    criterion = criteria[int(place[1])]
    words = f"the criterion {criterion.get('name')!r} isn't taken"
    *path, member = (place[2] or "").split(".")
    owner: Any = criterion
    for step in path:
        owner = cast("dict[str, Any]", owner).get(step) if isinstance(owner, dict) else None
    if error.code == "extra_forbidden" and isinstance(owner, dict) and member in owner:
        del owner[member]
        words = f"{place[2]!r} of the criterion {criterion.get('name')!r} isn't taken"
    else:
        del criteria[int(place[1])]
    return f"{words}: {error}"


def _adapt(criterion: dict[str, Any], find_grader: FindGrader) -> dict[str, Any] | str:
    """Return a criterion as it is graded here, or why it can't be."""
    kind = criterion.get("type")
    if kind == "python":
        return "it is a program, and none that comes from elsewhere is run here"
    if kind not in _GRADERS:
        return f"there is no grader of the type {kind!r} here"
    ours = {name: value for name, value in criterion.items() if name not in ("id", "eval_id") and value is not None}
    if kind not in _MODEL_GRADERS:
        return ours
    model = str(criterion.get("model"))
    grader = find_grader(model)
    if grader is None:
        return f"it asks the model {model!r}, which isn't here. Name one that grades in its place with --grader"
    return ours | {"model": grader}
