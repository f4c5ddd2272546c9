"""The columns of results."""

L = "location"
"""The type of a column that stands for the location columns of the query's unit: pcod, or lon and lat."""

_CODES = {"cell": "location_id", "site": "site_id"}


def location_columns(unit: str | None, suffix: str = "") -> dict[str, str]:
    """The columns that identify a location of a unit, and their types."""
    if unit == "lon-lat":
        return {f"lon{suffix}": "float64", f"lat{suffix}": "float64"}
    return {f"{_CODES.get(unit or '', 'pcod')}{suffix}": "string"}
