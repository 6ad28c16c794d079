"""Contracts held against what exists: files, code, rules, dashboards and a running process.

Every check returns `Finding` values and nothing else; what becomes of them (a report, an exit status, an exception
that somebody granted) is decided in one place for all of them. So a check is a pure function where it can be, and a
new form of report needs no check to change.
"""
