"""The event types that queries may name.

Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.
"""

EVENT_TYPES: tuple[str, ...] = ("calls", "sms", "mds", "topups", "forwards")
