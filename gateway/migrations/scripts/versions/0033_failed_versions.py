"""The versions of sources' items that couldn't be put"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source_items", sa.Column("failed_version", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("source_items", "failed_version")
