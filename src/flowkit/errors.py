"""Errors of the command line."""

from flowkit_base.errors import UserError


class DeploymentError(UserError):
    """What is wrong with a deployment, and the way out."""
