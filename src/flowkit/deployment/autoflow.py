"""A deployment's AutoFlow: its directories, its database, and a token for what its notebooks ask."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowkit.deployment import tokens
from flowkit.deployment.directory import Deployment
from flowkit_base.errors import UserError
from flowkit_base.files import write_whole
from flowkit_jwt_generator import TokenError, scopes, verify_token

if TYPE_CHECKING:
    from autoflow.settings import Settings

ROLE = "autoflow"
"""The role of flowkit.toml that decides what AutoFlow may ask, if there is one."""
LIFE = dt.timedelta(days=2)
"""How long a token lives; the next is signed when half of it is over."""
_USER = "autoflow"
_EXPANDED = {"modal_location_from_dates": ("modal_location", "daily_location")}
"""Functions of the client that ask queries of other kinds than their name says."""


def inputs(deployment: Deployment) -> Path:
    """The directory of workflows.yml and the notebooks."""
    return deployment.path / "autoflow" / "inputs"


def has_workflows(deployment: Deployment) -> bool:
    """Whether there is anything for AutoFlow to run."""
    return (inputs(deployment) / "workflows.yml").exists()


def variables(deployment: Deployment) -> dict[str, str]:
    """AutoFlow's own settings in a deployment, those of flowkit.toml left aside.

    The run table is where AutoFlow looks for it by itself: autoflow.db among the outputs.
    """
    return {
        "FLOWAPI_URL": deployment.api_url,
        "FLOWAPI_TOKEN_FILE": str(_token_file(deployment)),
        "AUTOFLOW_INPUTS_DIR": str(inputs(deployment)),
        "AUTOFLOW_OUTPUTS_DIR": str(deployment.path / "autoflow" / "outputs"),
    }


def environment(deployment: Deployment) -> dict[str, str]:
    """The environment that AutoFlow runs in; its database is put in its place."""
    _move_database(deployment)
    return deployment.environment(**variables(deployment))


def settings(deployment: Deployment) -> "Settings":
    """AutoFlow's settings in a deployment, to look at its runs; they have no token until AutoFlow has been started."""
    from autoflow.settings import Settings

    named = {name.lower(): value for name, value in deployment.environment(**variables(deployment)).items()}
    return Settings.model_validate({name: value for name, value in named.items() if name in Settings.model_fields})


def runs(deployment: Deployment) -> str | None:
    """How AutoFlow's runs stand, or why that cannot be said; None where there is nothing to run."""
    from autoflow.summary import summary

    try:
        return str(summary(settings(deployment))) if has_workflows(deployment) else None
    except UserError as error:
        return str(error)


def problem(deployment: Deployment) -> str | None:
    """What keeps AutoFlow's workflows from running, or was given up, with the way out; None if nothing does."""
    from autoflow.definition.notebooks import problems_of
    from autoflow.definition.reading import read_workflows
    from autoflow.summary import summary

    if not has_workflows(deployment):
        return None
    try:
        workflows = read_workflows(inputs(deployment)).workflows.values()
        broken = [sentence for workflow in workflows for sentence in problems_of(workflow)]
        return " ".join(broken) or summary(settings(deployment)).problem
    except UserError as error:
        return str(error)


def _move_database(deployment: Deployment) -> None:
    """Move the run table from where older versions of `flowkit up` kept it."""
    former, present = deployment.path / "autoflow" / "runs.db", deployment.path / "autoflow" / "outputs" / "autoflow.db"
    if former.exists() and not present.exists():
        present.parent.mkdir(parents=True, exist_ok=True)
        # SQLite's files beside the database first: without them it would lose its last transactions.
        for ending in ("-wal", "-shm", ""):
            file = former.with_name(former.name + ending)
            if file.exists():
                file.rename(present.with_name(present.name + ending))


def scopes_of_notebooks(every: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The scopes of the kinds of queries, and of the units, that workflows and notebooks name.

    `every` holds the scopes that there are, `texts` what workflows.yml and the notebooks say. A kind counts as named
    if its name, or the name of its function in the client, stands anywhere as a word.
    """
    words = {word.removesuffix("_spec") for text in texts for word in re.findall(r"\w+", text)}
    words |= {kind for function, kinds in _EXPANDED.items() if function in words for kind in kinds}
    if "get_geography" in words:
        words.add(scopes.GEOGRAPHY)
    actions = {scopes.RUN, scopes.GET_RESULT, scopes.GET_DATES}
    if any("qa_check" in word for word in words):
        actions.add(scopes.GET_CHECKS)
    words |= {scopes.NO_UNIT}
    return [
        scope
        for scope in every
        if scope in actions or ((parts := scopes.split(scope)) is not None and set(parts) <= words)
    ]


@dataclass
class Token:
    """AutoFlow's token in its file: short-lived, signed again in time, and for what the notebooks ask now."""

    deployment: Deployment
    _renewal: dt.datetime | None = None
    _stamp: list[tuple[str, int, int]] = field(default_factory=list)

    def issue(self) -> None:
        """Sign a token and revoke the one before it; take that one again if there is no FlowAuth to revoke it."""
        former = _read(_token_file(self.deployment))
        if former and not tokens.are_listed(self.deployment) and self._takes_again(former):
            return
        self._sign()
        if former:
            tokens.revoke(self.deployment, former, "AutoFlow was started again")

    def keep(self) -> None:
        """Sign another token if half of the life of the present one is over, or if the notebooks have changed.

        The former one lives on to its end, for notebooks that run now have it.
        """
        if self._renewal is None or dt.datetime.now(dt.UTC) >= self._renewal or self._stamp != _stamp(self.deployment):
            self._sign()

    def _takes_again(self, former: str) -> bool:
        """Whether a token of before permits what the notebooks ask and half of its life is left; then it is kept."""
        public = self.deployment.signing_key.public_key()
        try:
            claims = verify_token(former, [public], self.deployment.name)
        except TokenError:
            return False
        renewal = claims.expires - LIFE / 2
        if renewal <= dt.datetime.now(dt.UTC) or claims.roles != {ROLE: frozenset(_granted(self.deployment))}:
            return False
        self._renewal, self._stamp = renewal, _stamp(self.deployment)
        return True

    def _sign(self) -> None:
        self._stamp = _stamp(self.deployment)
        granted = _granted(self.deployment)
        text = tokens.signed(self.deployment, _USER, {ROLE: granted}, LIFE)
        file = _token_file(self.deployment)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(file, text + "\n", 0o600)
        self._renewal = dt.datetime.now(dt.UTC) + LIFE / 2


def _granted(deployment: Deployment) -> list[str]:
    every = tokens.scopes(deployment)
    if ROLE in deployment.roles:
        return scopes.matching(every, deployment.roles[ROLE])
    files = [file for file in sorted(inputs(deployment).glob("*")) if file.suffix in (".ipynb", ".yml")]
    return scopes_of_notebooks(every, (file.read_text(encoding="utf-8", errors="replace") for file in files))


def _stamp(deployment: Deployment) -> list[tuple[str, int, int]]:
    """What changes when a notebook or workflows.yml does."""
    files = [file for file in sorted(inputs(deployment).glob("*")) if file.is_file()]
    return [(file.name, (status := file.stat()).st_mtime_ns, status.st_size) for file in files]


def _token_file(deployment: Deployment) -> Path:
    return deployment.path / "secrets" / "autoflow-token.txt"


def _read(file: Path) -> str | None:
    return file.read_text().strip() if file.is_file() else None
