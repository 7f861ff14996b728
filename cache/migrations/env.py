"""What alembic runs to migrate, as upgrade.py asks: on the caller's connection, inside the caller's transaction."""

from alembic import context


def run() -> None:
    """Run the migrations alembic was asked for."""
    context.configure(**context.config.attributes["configure"])
    with context.begin_transaction():
        context.run_migrations()


if not __package__:  # alembic loads this file by its path; an import as a module of the package does nothing
    run()
