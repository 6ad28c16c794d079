"""Which panels there are, a module a dashboard."""
