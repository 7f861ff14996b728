"""What the service remembers: templates, spaces, studies, jobs and their events, misses, generations, keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DIGEST = sa.String(32)
STAMP = sa.String(32)
ACTIVE = "state IN ('queued', 'running')"


def upgrade() -> None:
    """Make the tables; the templates and spaces of records that are there are entered."""
    _provenance()
    _studies()
    _jobs()
    _generations()
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        *_texts("name"),
        sa.Column("sha256", sa.String(64), nullable=False),
        *_texts("scopes"),
        _stamp("created_at"),
        *(_stamp(name, nullable=True) for name in ("expires_at", "revoked_at", "last_used_at")),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )


def _row_id(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _texts(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _digests(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, DIGEST, nullable=False) for name in names]


def _stamp(name: str, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, STAMP, nullable=nullable)


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer(), nullable=False)


def _provenance() -> None:
    op.create_table(
        "templates",
        *_digests("digest"),
        *_texts("op", "name"),
        _stamp("seen_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_templates"),
    )
    op.create_table(
        "spaces",
        *_digests("digest", "template_digest"),
        _stamp("seen_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_spaces"),
        sa.ForeignKeyConstraint(["template_digest"], ["templates.digest"], name="fk_spaces_template_digest"),
    )
    op.execute(
        "INSERT INTO templates (digest, op, name, seen_at) "
        "SELECT r.template_digest, min(p.op), min(r.template), min(r.recorded_at) "
        "FROM records r JOIN problems p ON p.digest = r.problem_digest GROUP BY r.template_digest"
    )
    op.execute(
        "INSERT INTO spaces (digest, template_digest, seen_at) "
        "SELECT space_digest, min(template_digest), min(recorded_at) FROM records GROUP BY space_digest"
    )


def _studies() -> None:
    op.create_table(
        "studies",
        _row_id("id"),
        *_digests("digest", "key_digest", "problem_digest", "target_digest"),
        _stamp("started_at"),
        sa.Column("seconds", sa.Double(), nullable=False),
        _count("trials"),
        *_texts("sampler"),
        _row_id("seed"),
        *_texts("stopped", "templates", "recorded_by"),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("digest", name="uq_studies_digest"),
        sa.ForeignKeyConstraint(["problem_digest"], ["problems.digest"], name="fk_studies_problem_digest"),
        sa.ForeignKeyConstraint(["target_digest"], ["targets.digest"], name="fk_studies_target_digest"),
    )
    op.create_index("ix_studies_history", "studies", ["key_digest", "started_at"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        _row_id("id"),
        *_digests("key_digest"),
        *_texts("request", "state"),
        _count("priority"),
        _stamp("created_at"),
        *_texts("created_by"),
        _count("tries"),
        _count("token"),
        sa.Column("worker", sa.Text()),
        *(_stamp(name, nullable=True) for name in ("lease_until", "started_at", "finished_at")),
        _count("trials"),
        sa.Column("best_us", sa.Double()),
        sa.Column("error", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    active = sa.text(ACTIVE)
    op.create_index("uq_jobs_active", "jobs", ["key_digest"], unique=True, sqlite_where=active, postgresql_where=active)
    op.create_index("ix_jobs_queue", "jobs", ["state", "priority", "id"])
    op.create_table(
        "job_events",
        _row_id("id"),
        _row_id("job_id"),
        *_texts("kind", "data"),
        _stamp("at"),
        sa.PrimaryKeyConstraint("id", name="pk_job_events"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_events_job_id"),
    )
    op.create_index("ix_job_events_job", "job_events", ["job_id", "id"])
    op.create_table(
        "misses",
        *_digests("key_digest"),
        *_texts("op", "request"),
        _count("count"),
        _stamp("first_at"),
        _stamp("last_at"),
        sa.PrimaryKeyConstraint("key_digest", name="pk_misses"),
    )


def _generations() -> None:
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *_digests("digest"),
        _stamp("created_at"),
        *_texts("created_by", "note"),
        _count("answers"),
        sa.PrimaryKeyConstraint("number", name="pk_generations"),
    )
    op.create_table(
        "generation_answers",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        *_digests("key_digest", "problem_digest"),
        *_texts("op", "json"),
        sa.PrimaryKeyConstraint("generation", "key_digest", name="pk_generation_answers"),
        sa.ForeignKeyConstraint(["generation"], ["generations.number"], name="fk_generation_answers_generation"),
    )
    op.create_index("ix_generation_answers_problem", "generation_answers", ["generation", "problem_digest"])
