"""The run table: what has run, and how it ended."""
