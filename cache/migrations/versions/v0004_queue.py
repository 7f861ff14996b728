"""Jobs say what a worker needs to run them, and misses what they cost; the targets of records are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Nothing made jobs or counted misses under 0003, so there are no rows to fill."""
    for name in ("job_events", "misses", "jobs"):
        op.execute(f"DELETE FROM {name}")
    with op.batch_alter_table("jobs") as jobs:
        for name in ("op", "place", "backends"):
            jobs.add_column(sa.Column(name, sa.Text(), nullable=False))
    with op.batch_alter_table("misses") as misses:
        misses.add_column(sa.Column("gflop", sa.Double(), nullable=False))
    op.create_index("ix_records_target", "records", ["target_digest"])
