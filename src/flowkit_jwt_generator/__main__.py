"""The `generate-jwt` command: a token with every scope of a server, for tests and administrators."""

import datetime
import sys
from typing import Annotated


def main() -> None:
    """Run `generate-jwt`."""
    try:
        import typer  # noqa: PLC0415
    except ImportError:
        sys.exit("generate-jwt needs the command line extra; install it with: pip install 'flowkit[cli]'")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command()
    def generate_jwt(
        username: Annotated[str, typer.Option(help="Whom the token is for.")],
        private_key: Annotated[
            str,
            typer.Option(
                envvar="PRIVATE_JWT_SIGNING_KEY",
                show_envvar=True,
                help="RSA private key: PEM, or base64 of PEM.",
            ),
        ],
        lifetime: Annotated[int, typer.Option(min=1, max=36500, help="How many days the token is valid.")],
        flowapi_url: Annotated[
            str, typer.Option("--flowapi-url", "-u", help="The FlowAPI server to read scopes and name from.")
        ],
    ) -> None:
        """Print a token with every scope of a FlowAPI server, in one role named universal_role."""
        print(_token(username, private_key, lifetime, flowapi_url))

    app(prog_name="generate-jwt")


def _token(username: str, private_key: str, lifetime: int, flowapi_url: str) -> str:
    from flowkit_jwt_generator.jwt import generate_token  # noqa: PLC0415
    from flowkit_jwt_generator.keys import load_private_key  # noqa: PLC0415
    from flowkit_jwt_generator.server import (  # noqa: PLC0415
        ServerSpecError,
        get_all_claims_from_flowapi,
        get_audience_from_flowapi,
    )

    if not username.strip():
        sys.exit("--username is empty; name the person or program that the token is for.")
    try:
        key = load_private_key(private_key)
    except ValueError as error:
        sys.exit(f"--private-key: {error}")
    try:
        scopes = get_all_claims_from_flowapi(flowapi_url)
        audience = get_audience_from_flowapi(flowapi_url)
    except ServerSpecError as error:
        sys.exit(f"--flowapi-url: {error}")
    return generate_token(
        flowapi_identifier=audience,
        username=username,
        private_key=key,
        lifetime=datetime.timedelta(days=lifetime),
        roles={"universal_role": scopes},
    )


if __name__ == "__main__":
    main()
