"""The numbers of a file batch's files that were removed, by what had become of them"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("file_batches", sa.Column("removed_counts", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("file_batches", "removed_counts")
