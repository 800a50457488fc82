"""The base models that engines have served, for processes that don't have their files"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "base_models",
        sa.Column("digest", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("chat_template_digest", sa.String(length=255), nullable=False),
        sa.Column("folds_system", sa.Boolean(), nullable=False),
        sa.Column("served_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_base_models")),
    )


def downgrade() -> None:
    op.drop_table("base_models")
