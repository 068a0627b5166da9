"""Alembic's migrations, from the first tables on; `migrate.py` runs them."""
