"""Contracts held against themselves, against code, queries and documents; no server is asked."""
