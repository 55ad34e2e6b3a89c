"""Which domains and tasks there are: a domain is a folder whose `__init__.py` defines cards. Nothing is registered."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from horngate import pipelines
from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.spec.errors import UserError, nearest


@cache
def domains() -> dict[str, dict[str, type[Data]]]:
    """Return the cards by domain and task, in the order in which the files define them."""
    found = {}
    for info in iter_modules(pipelines.__path__):
        if not info.ispkg:
            continue
        module = import_module(f"{pipelines.__name__}.{info.name}")
        cards = [cls for cls in vars(module).values() if isinstance(cls, type) and issubclass(cls, Data)]
        own = {task_name(cls)[1]: cls for cls in cards if cls.__module__ == module.__name__}
        if own:
            found[info.name] = own
    return found


def card_class(domain: str, task: str) -> type[Data]:
    """Return the card of a task.

    Raises:
        UserError: no such domain or task in this version; names the nearest.
    """
    if domain not in domains():
        raise UserError(f'no domain "{domain}" in this version.{nearest(domain, domains())}')
    if task not in domains()[domain]:
        raise UserError(f'no task "{task}" in {domain}.{nearest(task, domains()[domain])}')
    return domains()[domain][task]
