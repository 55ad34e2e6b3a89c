"""No network: what `--offline` and HORNGATE_OFFLINE=1 forbid, and what they tell the libraries that would ask for it."""

import os
import sys
from typing import Any

from horngate.pipelines.spec.errors import UserError

VARIABLE = "HORNGATE_OFFLINE"
SWITCHES = {  # of libraries that look for them when they are imported
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_GCE_CHECK": "true",  # TensorFlow's own file system asks whether it runs in a cloud
}
ADDRESSED = ("socket.connect", "socket.sendto", "socket.sendmsg")  # their second value is an address
EVENTS = (*ADDRESSED, "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request")
LOCAL = ("localhost", "::1", "::", "0.0.0.0", "", "None")

_state = {"forbidden": False, "hooked": False}


class Forbidden(UserError):
    """Something wanted the network. It is no OSError, which libraries would take for a failure worth trying again."""


def asked() -> bool:
    """Whether the environment asks for no network: HORNGATE_OFFLINE is set, and neither to `0` nor to `false`."""
    return os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


def obey(wish: bool = False) -> None:
    """Forbid the network to this process if the environment or `wish` asks for it, else leave it as it is.

    Forbidden are name look-ups and connections to other machines (PEP 578 audit events, so that no library goes past
    them); local sockets stay. Call it before keras, keras_hub or tensorflow_datasets are imported.
    """
    _state["forbidden"] = wish or asked()
    if not _state["forbidden"]:
        return
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    if not _state["hooked"]:
        sys.addaudithook(_guard)
        _state["hooked"] = True


def forbidden() -> bool:
    """Whether this process may not use the network."""
    return _state["forbidden"]


def told(problem: BaseException) -> Forbidden | None:
    """Return the refusal that a library wrapped into an exception of its own, if there is one."""
    seen: BaseException | None = problem
    for _ in range(20):
        if seen is None or isinstance(seen, Forbidden):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def refuse_remote(name: str) -> None:
    """Refuse, where the network is forbidden, an address that would be opened past the sockets of Python.

    Raises:
        Forbidden: the network is forbidden, and the name is an address such as `gs://…`.
    """
    scheme = name.split("://")[0].lower() if "://" in name else ""
    if forbidden() and scheme not in ("", "file", "hf", "kaggle"):
        raise Forbidden(_said(name))


def _guard(event: str, values: tuple[Any, ...]) -> None:
    if not _state["forbidden"] or event not in EVENTS:
        return
    wanted = _wanted(event, values)
    if wanted is not None:
        raise Forbidden(_said(wanted))


def _wanted(event: str, values: tuple[Any, ...]) -> str | None:
    """Return what an audit event wants from elsewhere; None where it stays on this machine."""
    if event == "urllib.Request":
        address = str(values[0])
        return None if address.startswith(("file:", "data:")) else address
    host = values[1] if event in ADDRESSED else values[0]
    if event in ADDRESSED and not isinstance(host, tuple):
        return None  # a path: a socket of this machine
    host = host[0] if isinstance(host, tuple) else host
    host = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return None if host in LOCAL or host.startswith("127.") else host


def _said(wanted: str) -> str:
    return f"{wanted} was wanted, and the network is forbidden (--offline); files come by `horngate presets unpack`"
