"""The index that a store's points are in, the writers' fence, and when and by what a version was indexed"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = {
    "vector_stores": (
        sa.Column("index_identity", sa.String(length=255), nullable=True),
        sa.Column("index_whole", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("index_fence", sa.BigInteger(), nullable=False, server_default="0"),
    ),
    "document_versions": (
        sa.Column("embedded", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("index_identity", sa.String(length=255), nullable=True),
        sa.Column("chunker", sa.String(length=255), nullable=True),
    ),
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_documents_deleted", "documents", ["store_id", "deleted_at"])


def downgrade() -> None:
    op.drop_index("ix_documents_deleted", "documents")
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
