"""What a time rests on: details of a measurement, verdicts of playoffs, paired speedups, what records are ranked by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RANKING = "problem_digest key_digest template_digest config_digest recorded_at outcome phase ranked_us"


def upgrade() -> None:
    """Add the columns; what was measured before is ranked by its median, as it was."""
    for name, kind in {
        "details": sa.Text(),
        "ranked_us": sa.Double(),
        "verdict": sa.Text(),
        "baseline_speedup": sa.Text(),
    }.items():
        op.add_column("records", sa.Column(name, kind))
    op.execute("UPDATE records SET ranked_us = median_us")
    op.drop_index("ix_records_ranking", "records")
    op.create_index("ix_records_ranking", "records", RANKING.split())
