"""A running service held against its contracts, stage by stage."""
