"""Stored rows of queries: what identifies them, where they lie, and which of them are still valid."""
