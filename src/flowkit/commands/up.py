"""`flowkit up`: a deployment's services, until they are stopped."""

from typing import Annotated

import typer

from flowkit import chosen
from flowkit.deployment import Deployment, flowauth
from flowkit.deployment.lock import running
from flowkit.terminal import out

SECTION = "Run"
app = typer.Typer()


@app.command(epilog="Example: flowkit --deployment nepal up")
def up(
    autoflow: Annotated[bool, typer.Option(help="Run AutoFlow, if there is autoflow/inputs/workflows.yml.")] = True,
) -> None:
    """Start FlowMachine, FlowAPI, FlowAuth and AutoFlow, and run until stopped by Ctrl-C or SIGTERM."""
    deployment = chosen.deployment()
    with running(deployment) as cut_off:
        if added := flowauth.add_secrets(deployment):
            out.print(f"Made what FlowAuth needs, in {deployment.path / 'secrets'}: {', '.join(added)}.")
        # The services read the lake as it is: one of an older FlowKit is brought up to date first.
        _ = deployment.lake
        _serve(deployment, autoflow, cut_off)


def _serve(deployment: Deployment, autoflow: bool, cut_off: bool) -> None:
    from flowkit.services import services

    with services(deployment, autoflow=autoflow, cut_off=cut_off) as watch:
        out.print(
            f"{deployment.name} is up at {deployment.api_url}; what it answers: {deployment.api_url}/api/0/spec/redoc"
        )
        if deployment.has_flowauth:
            first = deployment.path / "secrets" / "FLOWAUTH_ADMIN_PASSWORD"
            out.print(
                f"People and their tokens: FlowAuth at {deployment.auth_url}"
                + (f"; {deployment.administrator} signs in first, with the password in {first}" * first.exists())
            )
        elif deployment.other_flowauth is not None:
            out.print(f"People and their tokens: the FlowAuth whose keys are at {deployment.other_flowauth}")
        out.print(f"A token: flowkit --deployment {deployment.path} token USER. Logs: {deployment.path / 'logs'}")
        try:
            watch.wait(lambda: False)
        except KeyboardInterrupt:
            out.print("Stopping.")
