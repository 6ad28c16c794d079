"""Queries of rules and dashboards held against the metrics contract."""
