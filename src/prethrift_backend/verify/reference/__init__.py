"""The reference that is generated from contracts."""
