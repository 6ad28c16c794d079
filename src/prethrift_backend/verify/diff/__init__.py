"""Contracts, alerts and dashboards compared with older ones."""
