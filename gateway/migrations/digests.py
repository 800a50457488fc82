"""The columns of all rooms that name bytes."""

from gateway.migrations.tables import (
    ComparisonRow,
    DiagnosisRow,
    DocumentVersionRow,
    EvalRunRow,
    EvaluationRow,
    FileRow,
    FineTuningJobRow,
    GateRow,
    UploadPartRow,
)

__all__ = ["DIGESTS"]

DIGESTS = (
    FileRow.digest,
    UploadPartRow.digest,
    DocumentVersionRow.digest,
    FineTuningJobRow.rows_digest,
    FineTuningJobRow.validation_rows_digest,
    FineTuningJobRow.state_digest,
    EvaluationRow.questions_digest,
    EvaluationRow.report_digest,
    EvalRunRow.items_digest,
    ComparisonRow.prompts_digest,
    GateRow.rows_digest,
    GateRow.training_digest,
    GateRow.report_digest,
    DiagnosisRow.inputs_digest,
    DiagnosisRow.report_digest,
)
"""Every column that refers to bytes in the artifacts: what none of them names is garbage."""
