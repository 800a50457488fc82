"""Every table, imported: what migrations are compared with."""

from gateway.adapters.tables import AdapterRow
from gateway.answers.tables import AnswerRow
from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.db.base import Base
from gateway.engines.tables import BaseModelRow
from gateway.files.tables import FileRow
from gateway.fine_tuning.tables import CheckpointRow, EventRow, FineTuningJobRow
from gateway.jobs.tables import JobRow
from gateway.prompts.tables import PromptRow
from gateway.sources.tables import SourceItemRow, SourceRow
from gateway.tenants.tables import KeyRow, TenantRow
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow

__all__ = [
    "AdapterRow",
    "AnswerRow",
    "AssistantRow",
    "Base",
    "BaseModelRow",
    "CheckpointRow",
    "DocumentRow",
    "DocumentVersionRow",
    "EventRow",
    "FileRow",
    "FineTuningJobRow",
    "JobRow",
    "KeyRow",
    "PromptRow",
    "ReleaseRow",
    "RolloutRow",
    "SourceItemRow",
    "SourceRow",
    "StoreRow",
    "TenantRow",
]
