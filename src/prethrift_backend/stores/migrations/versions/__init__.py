"""The revisions of the database, oldest first by number."""
