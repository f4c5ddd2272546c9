"""What the command line can meet."""


class DeploymentError(Exception):
    """Says what is wrong with a deployment and what to do."""
