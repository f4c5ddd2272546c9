"""The latest divisions of results into batches of GeoJSON features."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from flowmachine.geojson import Places

_MOST_DRAWINGS = 64


class Drawings:
    """How the features of results are divided into batches, and which places they refer to; the latest are kept.

    A client that reads a result batch by batch gets all batches of one division, even if boundaries are loaded
    meanwhile.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._latest: OrderedDict[str, tuple[Places, list[tuple[int, int]]]] = OrderedDict()

    def of(
        self, query_id: str, batch: int, places: Places, divide: Callable[[], list[tuple[int, int]]]
    ) -> tuple[Places, list[tuple[int, int]]]:
        """The places and cuts of a result: current ones for its first batch, those of the first for later ones."""
        with self._lock:
            latest = self._latest.get(query_id)
        if latest is not None and (batch > 0 or latest[0] is places):
            return latest
        drawing = places, divide()
        with self._lock:
            self._latest[query_id] = drawing
            self._latest.move_to_end(query_id)
            while len(self._latest) > _MOST_DRAWINGS:
                self._latest.popitem(last=False)
        return drawing
