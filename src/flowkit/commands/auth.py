"""`flowkit auth`: FlowAuth's commands, about the deployment's FlowAuth."""

import os

import typer

from flowauth.console import app as flowauth
from flowkit import chosen
from flowkit.deployment import SETTINGS
from flowkit.deployment.flowauth import environment

SECTION = "Run"
app = typer.Typer()
app.add_typer(flowauth, name="auth")


@flowauth.callback()
def _use_the_deployment() -> None:
    """FlowAuth of the deployment or, without a deployment, of the settings in the environment."""
    if (chosen.directory() / SETTINGS).exists():
        os.environ.update(environment(chosen.deployment()))
