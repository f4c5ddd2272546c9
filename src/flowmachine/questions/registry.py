"""Every query kind: those of `flowmachine.queries`, and those of plugins."""

import importlib
import pkgutil
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from flowmachine.questions.query import REGISTRY, Query
from flowmachine.questions.slots import namespace


@cache
def kinds() -> Mapping[str, type[Query]]:
    """Every query kind, ours and the plugins', ready to validate; a plugin that breaks is named and left out."""
    queries = importlib.import_module("flowmachine.queries")

    for module in sorted(m.name for m in pkgutil.iter_modules(queries.__path__)):
        importlib.import_module(f"{queries.__name__}.{module}")
    _make_ready()
    for plugin in sorted(entry_points(group="flowmachine.queries"), key=lambda e: e.name):
        former = dict(REGISTRY)
        try:
            plugin.load()
            _make_ready()
            for name in REGISTRY.keys() - former.keys():
                REGISTRY[name].model_validate(REGISTRY[name].example)
                REGISTRY[name].model_json_schema()
        except (Exception, SystemExit) as problem:
            reason = f"{type(problem).__name__}: {problem}".partition("\n")[0]
            warnings.warn(f"The plugin {plugin.name} ({plugin.value}) is left out: {reason}", stacklevel=2)
            package = plugin.module.partition(".")[0]
            for name, cls in list(REGISTRY.items()):
                # What it imported of another plugin stays: that one's own import would not declare it again.
                if former.get(name) is not cls and cls.__module__.partition(".")[0] == package:
                    del REGISTRY[name]
            REGISTRY.update(former)
            _make_ready()
    return dict(sorted(REGISTRY.items()))


def _make_ready() -> None:
    slots = namespace()
    for cls in REGISTRY.values():
        cls.model_rebuild(force=True, _types_namespace=slots)
