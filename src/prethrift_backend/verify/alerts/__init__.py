"""Alerts held against their runbooks and their tests, and the tests against changes of the alerts."""
