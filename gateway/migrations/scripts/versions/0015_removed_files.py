"""The places that files had in their stores' lists, of documents that are removed"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removed_store_files",
        sa.Column("store_id", sa.String(255), nullable=False),
        sa.Column("file_id", sa.String(255), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["store_id"],
            ["vector_stores.id"],
            name="fk_removed_store_files_store_id_vector_stores",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_removed_store_files_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name="pk_removed_store_files"),
    )
    op.create_index("ix_removed_store_files_pages", "removed_store_files", ["tenant_id", "created_at", "id"])
    op.create_index("ix_removed_store_files_place", "removed_store_files", ["store_id", "file_id"])


def downgrade() -> None:
    op.drop_table("removed_store_files")
