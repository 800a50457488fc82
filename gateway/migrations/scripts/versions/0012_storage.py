"""The bytes of all that a tenant stores, and an index from which they are summed"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = (("adapters", "bytes"), ("fine_tuning_jobs", "rows_bytes"), ("evaluations", "bytes"))


def upgrade() -> None:
    for table, column in _COLUMNS:
        # What was stored before counts nothing: the database doesn't know its size.
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_files_stored", "files", ["tenant_id", "bytes"])


def downgrade() -> None:
    op.drop_index("ix_files_stored", "files")
    for table, column in _COLUMNS:
        op.drop_column(table, column)
