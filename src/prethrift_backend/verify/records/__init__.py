"""Log lines and spans, where they come from, and whether they keep their contracts."""
