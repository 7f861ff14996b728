"""First tables: problems, targets, records, incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "problems",
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_problems"),
    )
    op.create_index("ix_problems_op", "problems", ["op"])
    op.create_table(
        "targets",
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_targets"),
    )
    op.create_table(
        "records",
        sa.Column("id", row_id, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("key_digest", sa.String(32), nullable=False),
        sa.Column("problem_digest", sa.String(32), nullable=False),
        sa.Column("target_digest", sa.String(32), nullable=False),
        sa.Column("policy_cache", sa.Text(), nullable=False),
        sa.Column("policy_launch", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("template_digest", sa.String(32), nullable=False),
        sa.Column("space_digest", sa.String(32), nullable=False),
        sa.Column("config_digest", sa.String(32), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("median_us", sa.Double()),
        sa.Column("spread_us", sa.Double()),
        sa.Column("samples_us", sa.Text()),
        sa.Column("baseline_name", sa.Text()),
        sa.Column("baseline_samples_us", sa.Text()),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
        sa.UniqueConstraint("digest", name="uq_records_digest"),
        sa.ForeignKeyConstraint(["problem_digest"], ["problems.digest"], name="fk_records_problem_digest"),
        sa.ForeignKeyConstraint(["target_digest"], ["targets.digest"], name="fk_records_target_digest"),
    )
    ranking = "problem_digest key_digest template_digest config_digest recorded_at outcome phase median_us"
    op.create_index("ix_records_ranking", "records", ranking.split())
    op.create_index("ix_records_history", "records", ["key_digest", "recorded_at"])
    op.create_table(
        "incidents",
        sa.Column("id", row_id, nullable=False),
        sa.Column("key_digest", sa.String(32), nullable=False),
        sa.Column("problem_digest", sa.String(32), nullable=False),
        sa.Column("target_digest", sa.String(32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.ForeignKeyConstraint(["problem_digest"], ["problems.digest"], name="fk_incidents_problem_digest"),
        sa.ForeignKeyConstraint(["target_digest"], ["targets.digest"], name="fk_incidents_target_digest"),
    )
    op.create_index("ix_incidents_history", "incidents", ["key_digest", "recorded_at"])
