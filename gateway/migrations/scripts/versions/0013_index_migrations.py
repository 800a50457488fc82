"""Moves of all documents to another index, and the second index of a store meanwhile"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vector_stores", sa.Column("mirror_identity", sa.String(255), nullable=True))
    op.add_column("vector_stores", sa.Column("mirror_epoch", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("document_versions", sa.Column("mirror_identity", sa.String(255), nullable=True))
    op.add_column("document_versions", sa.Column("mirror_chunker", sa.String(255), nullable=True))
    op.add_column("document_versions", sa.Column("mirror_error", sa.Text(), nullable=True))
    op.create_table(
        "index_migrations",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("source_embedder", sa.Text(), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column("target_embedder", sa.Text(), nullable=False),
        sa.Column("target_url", sa.Text(), nullable=False),
        sa.Column("source_index", sa.String(255), nullable=False),
        sa.Column("target_index", sa.String(255), nullable=True),
        sa.Column("phase", sa.String(255), nullable=False),
        sa.Column("evaluations", sa.JSON(), nullable=False),
        sa.Column("swapped_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_index_migrations"),
    )


def downgrade() -> None:
    op.drop_table("index_migrations")
    for column in ("mirror_error", "mirror_chunker", "mirror_identity"):
        op.drop_column("document_versions", column)
    op.drop_column("vector_stores", "mirror_epoch")
    op.drop_column("vector_stores", "mirror_identity")
