"""How the reader's browser reaches a port of the machine that the kernel runs on.

- It runs on the same machine: at 127.0.0.1. VS Code, also with its kernels on another machine,
  forwards such a port by itself.
- Jupyter runs elsewhere (JupyterHub, Binder, a Jupyter server with a base URL, one that listens
  to other machines, or one started in an SSH session): through Jupyter's own address, if
  jupyter-server-proxy is installed.
- Colab: through Colab's own proxy.
- SSH without jupyter-server-proxy: forward the port, ``ssh -L 6006:localhost:6006 machine``, and
  ask for that port, ``port=6006``.
"""

import importlib.util
import os
import sys
from typing import NamedTuple


class Way(NamedTuple):
    """``prefix`` is the path through Jupyter, with "{port}" in it, or ""; ``hint``, which may
    hold "{port}" too, says what the reader has to do, or is "". ``colab``: through Colab.
    ``hub``: others' Jupyter servers run beside this one.
    """

    prefix: str = ""
    hint: str = ""
    colab: bool = False
    hub: bool = False


def find_way() -> Way:
    """The way to a server that this process starts."""
    if "google.colab" in sys.modules:
        return Way(colab=True)
    over_ssh = "SSH_CONNECTION" in os.environ
    base = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    hub = base is not None
    server = _jupyter_server() if base is None else None
    if server is not None:
        local = server["hostname"] in ("localhost", "127.0.0.1", "::1")
        if over_ssh or not local or server["base_url"] != "/":
            base = server["base_url"]
    if base is not None and importlib.util.find_spec("jupyter_server_proxy"):
        return Way(f"{base.rstrip('/')}/proxy/absolute/{{port}}", hub=hub)
    if base is not None and not over_ssh:
        return Way(
            hint="If the page stays empty: your browser reaches this machine through Jupyter "
            "only. Install jupyter-server-proxy where Jupyter runs, and start Jupyter anew."
        )
    if over_ssh:
        return Way(
            hint="If the page stays empty, your browser is on another machine. Forward the port "
            "there: ssh -L {port}:localhost:{port} MACHINE. A server started with port={port} "
            "keeps it."
        )
    return Way()


def _jupyter_server() -> dict | None:
    """What is known of the Jupyter server that started this kernel, through a script or not."""
    if importlib.util.find_spec("jupyter_server") is None:
        return None
    from jupyter_server.serverapp import list_running_servers

    parents = {os.getppid()}
    if sys.platform != "win32":  # there it isn't a process's number
        parents.add(int(os.environ.get("JPY_PARENT_PID", 0)))
    return next((server for server in list_running_servers() if server["pid"] in parents), None)


def colab_address(port: int) -> str:
    """Where Colab's proxy hands on a port, without a slash at its end; it asks the page."""
    from google.colab import output

    return output.eval_js(f"google.colab.kernel.proxyPort({port})", timeout_sec=30).rstrip("/")
