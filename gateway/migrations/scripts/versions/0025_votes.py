"""Comparisons of two models with their votes, and feedback on answers"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_comparisons()
    _create_votes()
    for table in ("comparisons", "comparison_items", "comparison_votes", "feedback"):
        op.create_index(f"ix_{table}_pages", table, ["tenant_id", "created_at", "id"])
    op.create_index("ix_comparisons_prompts_digest", "comparisons", ["prompts_digest"])
    for table in ("comparison_items", "comparison_votes"):
        op.create_index(f"ix_{table}_of_a_comparison", table, ["comparison_id", "created_at", "id"])


def downgrade() -> None:
    for table in ("feedback", "comparison_votes", "comparison_items", "comparisons"):
        op.drop_table(table)


def _create_comparisons() -> None:
    op.create_table(
        "comparisons",
        *_owned("comparisons"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(255), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("models", "sampling", "source")),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("prompts_digest", sa.String(255), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("bytes", "total", "answered", "errored")),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=True),
    )
    op.create_table(
        "comparison_items",
        *_owned("comparison_items"),
        sa.Column("comparison_id", sa.String(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        _comparison("comparison_items"),
        sa.UniqueConstraint("comparison_id", "number", name="uq_comparison_items_comparison_id"),
    )


def _create_votes() -> None:
    op.create_table(
        "comparison_votes",
        *_owned("comparison_votes"),
        sa.Column("comparison_id", sa.String(255), nullable=False),
        sa.Column("item_id", sa.String(255), nullable=False),
        sa.Column("voter", sa.String(255), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("preferred", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("corrected_reply", sa.Text(), nullable=True),
        _comparison("comparison_votes"),
        sa.ForeignKeyConstraint(
            ["item_id"], ["comparison_items.id"], name="fk_comparison_votes_item_id_comparison_items"
        ),
        sa.UniqueConstraint("item_id", "voter", name="uq_comparison_votes_item_id"),
    )
    op.create_table(
        "feedback",
        *_owned("feedback"),
        sa.Column("answer_id", sa.String(255), nullable=False),
        sa.Column("voter", sa.String(255), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        *(sa.Column(name, sa.String(255), nullable=True) for name in ("release", "rating", "preferred_over")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("reason", "corrected_reply")),
        sa.Column("messages", sa.JSON(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("reply", "other_reply")),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant_id", "answer_id", "voter", name="uq_feedback_tenant_id"),
    )


def _comparison(table: str) -> sa.schema.SchemaItem:
    name = f"fk_{table}_comparison_id_comparisons"
    return sa.ForeignKeyConstraint(["comparison_id"], ["comparisons.id"], name=name)


def _owned(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]
