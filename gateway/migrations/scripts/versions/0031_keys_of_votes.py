"""The keys that votes on answers were sent with"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("key", sa.String(255), nullable=True))


def downgrade() -> None:
    op.drop_column("feedback", "key")
