"""The papermill engine: a kernel with the environment, the folder and the supervision of a run.

Importing this module imports papermill, which is slow, and registers the engine.
"""

import threading
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from autoflow.execution.job import Job
from autoflow.execution.kernels import kernel_environment, kill
from autoflow.secrecy import Secret

ENGINE = "autoflow"


class DiscreetClient(PapermillNotebookClient):
    """Papermill's own client, which takes the token out of what a kernel says before it is kept anywhere."""

    secret: Secret

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Process a message of the kernel."""
        msg["content"] = self.secret.out_of_all(msg["content"])
        output = super().process_message(msg, cell, cell_index)
        outputs = cell.get("outputs", ())
        if msg["msg_type"] == "stream" and len(outputs) > 1:
            before, last = outputs[-2:]
            if before.output_type == last.output_type and before.get("name") == last.get("name"):
                # What is printed in pieces is one text, as Jupyter shows it; a token in two halves is found in it.
                # (nbclient's own way of joining them takes a minute for a line of a megabyte.)
                cut = max(len(before.text) - max(map(len, self.secret.forms), default=0), 0)
                before.text = before.text[:cut] + self.secret.out_of(before.text[cut:] + last.text)
                outputs.pop()
                return before
        return output


class SupervisedEngine(NBClientEngine):
    """Papermill's own engine, with an environment for the kernel and supervision of it."""

    @classmethod
    def execute_managed_notebook(  # noqa: PLR0917  (papermill's signature)
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Execute the notebook in its own kernel."""
        job: Job = kwargs["autoflow_job"]
        expired: threading.Event = kwargs["autoflow_expired"]
        client = DiscreetClient(
            nb_man,
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            # A report is rendered after its kernel has ended; a closing message would have no receiver.
            shutdown_kernel="immediate",
        )
        client.secret = Secret(job.settings.flowapi_token.get_secret_value())
        client.km = client.create_kernel_manager()
        # Never reachable from another machine, for any configuration of Jupyter on this one.
        client.km.ip = "127.0.0.1"
        if client.km.ipykernel:
            # It would say at each start that its traffic, which never leaves this machine, is not encrypted.
            client.extra_arguments = ["--Application.log_level=ERROR"]
        client.start_new_kernel(env=kernel_environment(job.settings), cwd=kwargs["autoflow_folder"])
        # 0 for a kernel that Jupyter's configuration places elsewhere: there is no process here to end.
        pid: int = getattr(client.km.provisioner, "pid", 0)
        job.kernels.started(pid, str(job.run.run_id))

        def expire() -> None:
            expired.set()
            kill(pid)

        limit = threading.Timer(job.settings.autoflow_notebook_timeout, expire)
        limit.daemon = True
        limit.start()
        try:
            return client.execute()
        finally:
            limit.cancel()
            job.kernels.ended(pid)
            # What a notebook has started in the background ends with it.
            kill(pid)


papermill_engines.register(ENGINE, SupervisedEngine)
