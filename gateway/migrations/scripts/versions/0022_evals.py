"""OpenAI's Evals: evals, their runs, and the runs' output items"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evals",
        *_owned("evals"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("data_source_config", sa.JSON(), nullable=False),
        sa.Column("testing_criteria", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "eval_runs",
        *_owned("eval_runs"),
        sa.Column("eval_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(255), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("data_source", sa.JSON(), nullable=False),
        sa.Column("items_digest", sa.String(255), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("bytes", "total", *_COUNTS)),
        sa.Column("criteria_results", sa.JSON(), nullable=False),
        sa.Column("usage", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=True),
        sa.ForeignKeyConstraint(["eval_id"], ["evals.id"], name="fk_eval_runs_eval_id_evals"),
    )
    op.create_table(
        "eval_output_items",
        *_owned("eval_output_items"),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(255), nullable=False),
        sa.Column("item", sa.JSON(), nullable=False),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["eval_runs.id"], name="fk_eval_output_items_run_id_eval_runs"),
        sa.UniqueConstraint("run_id", "number", name="uq_eval_output_items_run_id"),
    )
    for table in ("evals", "eval_runs", "eval_output_items"):
        op.create_index(f"ix_{table}_pages", table, ["tenant_id", "created_at", "id"])
    op.create_index("ix_evals_updates", "evals", ["tenant_id", "updated_at", "id"])
    op.create_index("ix_eval_runs_of_an_eval", "eval_runs", ["eval_id", "created_at", "id"])
    op.create_index("ix_eval_output_items_of_a_run", "eval_output_items", ["run_id", "created_at", "id"])
    for column in ("items_digest", "finished_at"):
        op.create_index(f"ix_eval_runs_{column}", "eval_runs", [column])


def downgrade() -> None:
    for table in ("eval_output_items", "eval_runs", "evals"):
        op.drop_table(table)


_COUNTS = ("passed", "failed", "errored")


def _owned(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]
