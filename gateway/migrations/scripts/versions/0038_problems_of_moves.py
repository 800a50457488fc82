"""The reason for which the second retriever of a move to another index fell; null while it runs"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("index_migrations", sa.Column("problem", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("index_migrations", "problem")
