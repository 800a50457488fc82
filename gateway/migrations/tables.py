"""Every table, imported: what migrations are compared with."""

from gateway.adapters.tables import AdapterRow
from gateway.answers.tables import AnswerDocumentRow, AnswerRow
from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.db.base import Base
from gateway.diagnoses.tables import DiagnosisRow
from gateway.engines.tables import BaseModelRow
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.evaluation_jobs.tables import EvaluationRow
from gateway.feedback.tables import FeedbackRow
from gateway.files.tables import FileRow, UploadPartRow, UploadRow
from gateway.fine_tuning.tables import CheckpointRow, EventRow, FineTuningJobRow
from gateway.gates.tables import GateRow
from gateway.jobs.tables import ClockRow, JobRow
from gateway.prompts.tables import PromptRow
from gateway.sources.tables import SourceItemRow, SourceRow
from gateway.tenants.tables import KeyRow, TenantRow
from gateway.vector_stores.tables import (
    BatchFileRow,
    DocumentRow,
    DocumentVersionRow,
    FileBatchRow,
    IndexMigrationRow,
    RemovedFileRow,
    StoreRow,
)

__all__ = [
    "AdapterRow",
    "AnswerDocumentRow",
    "AnswerRow",
    "AssistantRow",
    "Base",
    "BaseModelRow",
    "BatchFileRow",
    "CheckpointRow",
    "ClockRow",
    "ComparisonItemRow",
    "ComparisonRow",
    "ComparisonVoteRow",
    "DiagnosisRow",
    "DocumentRow",
    "DocumentVersionRow",
    "EvalOutputItemRow",
    "EvalRow",
    "EvalRunRow",
    "EvaluationRow",
    "EventRow",
    "FeedbackRow",
    "FileBatchRow",
    "FileRow",
    "FineTuningJobRow",
    "GateRow",
    "IndexMigrationRow",
    "JobRow",
    "KeyRow",
    "PromptRow",
    "ReleaseRow",
    "RemovedFileRow",
    "RolloutRow",
    "SourceItemRow",
    "SourceRow",
    "StoreRow",
    "TenantRow",
    "UploadPartRow",
    "UploadRow",
]
