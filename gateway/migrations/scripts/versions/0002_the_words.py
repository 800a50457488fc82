"""Columns and kinds of jobs under the words that the code uses; digests of the rows of a fine-tuning job"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ANSWERS = sa.table("answers", sa.column("id", sa.String), sa.column("record", sa.JSON))
_JOBS = sa.table("jobs", *(sa.column(name, sa.String) for name in ("kind", "subject", "queue_key", "running_key")))
_EPOCH_TABLES = ("vector_stores", "document_versions")


def upgrade() -> None:
    _rename_queue_keys("lane", "queue_key", "running_lane", "running_key")
    _rename_kind("forget", "collect_garbage")
    with op.batch_alter_table("fine_tuning_jobs") as batch_op:
        batch_op.add_column(sa.Column("rows_digest", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("validation_rows_digest", sa.String(length=255), nullable=True))
    _rename_index_epochs("epoch", "index_epoch")


def downgrade() -> None:
    # Not in a batch: that would make the table anew, and dropping the old one would delete its events with it.
    op.drop_column("fine_tuning_jobs", "validation_rows_digest")
    op.drop_column("fine_tuning_jobs", "rows_digest")
    _rename_kind("collect_garbage", "forget")
    _rename_queue_keys("queue_key", "lane", "running_key", "running_lane")
    _rename_index_epochs("index_epoch", "epoch")


def _rename_queue_keys(key: str, new_key: str, running: str, new_running: str) -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_status"))
        batch_op.drop_constraint(batch_op.f(f"uq_jobs_{running}"), type_="unique")
        batch_op.alter_column(key, new_column_name=new_key)
        batch_op.alter_column(running, new_column_name=new_running)
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.create_unique_constraint(batch_op.f(f"uq_jobs_{new_running}"), [new_running])
        batch_op.create_index(batch_op.f("ix_jobs_status"), ["status", new_key, "id"])


def _rename_kind(old: str, new: str) -> None:
    """Rename a kind of job whose subject and keys begin with its name."""
    columns = (_JOBS.c.subject, _JOBS.c.queue_key, _JOBS.c.running_key)
    renamed = {column: sa.func.replace(column, f"{old}:", f"{new}:") for column in columns}
    op.execute(_JOBS.update().where(_JOBS.c.kind == old).values({_JOBS.c.kind: new, **renamed}))


def _rename_index_epochs(old: str, new: str) -> None:
    for table in _EPOCH_TABLES:
        # Both kinds of database know this statement; a batch would make the table anew, and delete what refers to it.
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    connection = op.get_bind()
    for id, record in connection.execute(sa.select(_ANSWERS.c.id, _ANSWERS.c.record)).all():
        renamed: dict[str, Any] = {f"{new}s" if key == f"{old}s" else key: value for key, value in record.items()}
        renamed["passages"] = [
            {new if key == old else key: value for key, value in passage.items()} for passage in record["passages"]
        ]
        connection.execute(_ANSWERS.update().where(_ANSWERS.c.id == id).values(record=renamed))
