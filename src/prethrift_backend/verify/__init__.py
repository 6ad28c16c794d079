"""Contracts held against what exists: files, code, rules, dashboards and a running process.

Every check returns `Finding` values and nothing else; what becomes of them (a report, an exit status, an exception
that somebody granted) is decided in one place for all of them. So a check is a pure function where it can be, and a
new form of report needs no check to change.

- ``findings``, ``rules``, ``exceptions``, ``verdict``, ``reports``, ``command_line``: what all checks have in common.
- ``lint``, ``promql``, ``alerts``, ``reference``: checks of files and code; no server is asked. ``application`` makes
  the application that they look at.
- ``dashboards``: what Grafana shows of the metrics, made from their contract.
- ``diff``: what changed against older contracts, and whom it hurts.
- ``live``, ``records``, ``arrival``, ``inject``: the stages of ``verify``: a running service, its lines and spans, what
  arrives elsewhere, and what it stands.
- ``coverage``, ``contract_tests``: contracts and runs of tests.
- ``recording``: drafts of contracts, for who has none.
"""
