"""What loading says when it cannot go on."""


class IngestError(Exception):
    """Says in one sentence what is wrong with a delivery and the way out."""
