"""The state of the stores that a gate asks at, all who forced a rollout, and releases by their fingerprint"""

from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_ROLLOUTS = sa.table("rollouts", sa.column("id", sa.String), sa.column("forced", sa.JSON))


def upgrade() -> None:
    op.add_column("gates", sa.Column("store_epochs", sa.JSON(), nullable=True))
    op.create_index("ix_releases_fingerprint", "releases", ["fingerprint"])
    _rewrite(lambda forced: [forced] if isinstance(forced, dict) else forced)


def downgrade() -> None:
    _rewrite(_take_last)
    op.drop_index("ix_releases_fingerprint", "releases")
    op.drop_column("gates", "store_epochs")


def _take_last(forced: Any) -> Any:
    return cast("list[Any]", forced)[-1] if isinstance(forced, list) and forced else None


def _rewrite(change: Callable[[Any], Any]) -> None:
    """Put a list of those who forced a rollout in place of the last one of them, or the other way."""
    connection = op.get_bind()
    for id, forced in connection.execute(sa.select(_ROLLOUTS.c.id, _ROLLOUTS.c.forced)).all():
        if forced is not None:
            op.execute(_ROLLOUTS.update().where(_ROLLOUTS.c.id == id).values(forced=change(forced)))
