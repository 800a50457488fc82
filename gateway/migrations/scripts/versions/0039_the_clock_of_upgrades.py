"""The time that workers believe in a database from before: that of its newest row, and not the first worker's"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

TABLES = (
    "adapters",
    "answers",
    "assistants",
    "comparison_items",
    "comparison_votes",
    "comparisons",
    "diagnoses",
    "document_versions",
    "documents",
    "eval_output_items",
    "eval_runs",
    "evals",
    "evaluations",
    "feedback",
    "file_batches",
    "files",
    "fine_tuning_events",
    "fine_tuning_jobs",
    "gates",
    "jobs",
    "keys",
    "prompts",
    "releases",
    "sources",
    "tenants",
    "uploads",
    "vector_stores",
)
"""Those whose rows grow with use. Another program's may lie beside them, with other kinds of `created_at`."""


def upgrade() -> None:
    connection = op.get_bind()
    believed = sa.table("believed_clock", sa.column("id", sa.String), sa.column("believed", sa.Float))
    if connection.scalar(sa.select(believed.c.id)) is not None:
        return
    created = sa.column("created_at", sa.Integer)
    newest = [connection.scalar(sa.select(sa.func.max(created)).select_from(sa.table(name))) for name in TABLES]
    times = [float(one) for one in newest if one is not None]
    if times:  # a database without rows has nothing that could be deleted too early
        op.execute(believed.insert().values(id="workers", believed=min(time.time(), max(times))))


def downgrade() -> None:
    pass  # what is believed goes with its table
