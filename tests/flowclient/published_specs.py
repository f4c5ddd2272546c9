"""Run by the environment that holds the published flowclient: call its spec functions, print what they make."""

import json
import sys

from flowclient import aggregates, query_specs

made = []
for function, arguments in json.load(sys.stdin):
    module = query_specs if hasattr(query_specs, function) else aggregates
    made.append(getattr(module, function)(**arguments))
json.dump(made, sys.stdout)
