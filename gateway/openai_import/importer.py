"""An export brought into a gateway, kind by kind. Run again, it goes on: the gateway itself says what is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.openai_import.destination import Destination
from gateway.openai_import.eval_import import import_evals
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.file_import import import_files
from gateway.openai_import.hosted_outputs import find_outputs
from gateway.openai_import.job_import import Confirm, import_models
from gateway.openai_import.prompt_import import import_prompts
from gateway.openai_import.report import ImportReport
from gateway.openai_import.store_import import import_stores
from gateway.openai_import.style_comparison import compare_models

__all__ = ["ImportOptions", "import_export"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Choices of the person who imports.

    `grader` is the model here that grades where evals ask a hosted one; None leaves such criteria out. `samples` is
    the most conversations per model that styles are compared by, 0 for no comparison. `confirm` is asked before
    anything is trained.
    """

    confirm: Confirm
    grader: str | None = None
    samples: int = 50


async def import_export(
    export: ExportFolder, gateway: Destination, options: ImportOptions, missing: Sequence[str] = ()
) -> ImportReport:
    """Bring an export into a gateway, and say what became of it.

    Nothing is made twice: objects have their ids at OpenAI in their metadata, files are told by name and bytes, prompts
    by their templates, and names by being there. One import at a time: two at once would not see each other.

    Args:
        export: The folder's objects.
        gateway: Where they go.
        options: See `ImportOptions`.
        missing: Reasons why something isn't in the folder.

    Raises:
        ClientError: The gateway doesn't answer, or refuses the key.
    """
    report = ImportReport(dry_run=gateway.dry_run)
    for reason in (*missing, *export.unreadable):
        report.note("folder", "", "", reason)
    files = await import_files(export, gateway, report)
    await import_stores(export, gateway, report, files)
    await import_prompts(export, gateway, report)
    models = {str(job.get("fine_tuned_model")) for job in export.of("fine_tuning.job").values()}
    await import_evals(export, gateway, report, lambda model: model if model in models else options.grader)
    await import_models(export, gateway, report, files, options.confirm)
    if options.samples and not gateway.dry_run:
        await compare_models(find_outputs(export), gateway, report, options.samples)
    return report
