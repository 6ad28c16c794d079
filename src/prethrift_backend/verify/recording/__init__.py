"""Contracts drafted from what a running service shows."""
