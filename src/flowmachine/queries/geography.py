"""The boundaries of a level's units."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.building.places import boundaries
from flowmachine.kind import Cdr, InUnit, L


class Geography(InUnit):
    """The boundaries of a level's units, as WKB in WGS84.

    For lon-lat, the columns lon and lat are the places where cells stand; for cell and site, location_id and site_id
    name those of the network. Their geom is empty: GeoJSON has the points.
    """

    query_kind: Literal["geography"] = "geography"

    columns: ClassVar = {"location": L, "geom": "binary"}
    counts: ClassVar = None
    needs_of_engine: ClassVar[tuple[str, ...]] = ("has_boundaries",)
    example: ClassVar = {"query_kind": "geography", "aggregation_unit": "admin3"}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, geom."""
        return boundaries(cdr.tables, self)
