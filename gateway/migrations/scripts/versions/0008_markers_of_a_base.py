"""The spellings that a base model takes for more than text; null where they aren't known"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("base_models", sa.Column("markers", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("base_models", "markers")
