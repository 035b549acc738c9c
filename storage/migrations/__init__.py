"""Alembic's environment; it is run by storage.schema, without an ini file."""
