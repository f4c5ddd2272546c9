# Ibis types a column too narrowly to check expressions: its Column has no arithmetic. To the checker it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
