"""Sources that stay in sync with a vector store, and the state of their items"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("live_name", sa.String(255), nullable=True),
        sa.Column("store_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(255), nullable=False),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("prefix", sa.String(255), nullable=False),
        sa.Column("include", sa.JSON(), nullable=False),
        sa.Column("exclude", sa.JSON(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("interval_seconds", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(255), nullable=False),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("deletions", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("error_code", sa.String(255), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("job_id", sa.String(255), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("synced_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.Float(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        *_owned("sources"),
        sa.UniqueConstraint("tenant_id", "live_name", name="uq_sources_tenant_id"),
    )
    op.create_index("ix_sources_store_id", "sources", ["store_id"])
    op.create_index("ix_sources_due", "sources", ["next_at"])
    op.create_index("ix_sources_pages", "sources", ["tenant_id", "created_at", "id"])
    op.create_table(
        "source_items",
        sa.Column("source_id", sa.String(255), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(255), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.Float(), nullable=True),
        *_owned("source_items"),
        sa.UniqueConstraint("source_id", "key", name="uq_source_items_source_id"),
    )
    op.create_index("ix_source_items_pages", "source_items", ["tenant_id", "created_at", "id"])


def _owned(table: str) -> tuple[sa.Column[str] | sa.Column[int] | sa.Constraint, ...]:
    return (
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def downgrade() -> None:
    op.drop_table("source_items")
    op.drop_table("sources")
