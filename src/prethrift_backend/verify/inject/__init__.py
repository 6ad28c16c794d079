"""A service treated badly on purpose, by clients and by its dependencies."""
