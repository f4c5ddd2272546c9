"""Results as data frames; pandas and geopandas are loaded when the first one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import geopandas
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]


def data_frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return records as a DataFrame, columns in the order of their keys."""
    import pandas as pd  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]  # pandas takes longer to load than all of flowclient

    return pd.DataFrame.from_records(records)  # pyright: ignore[reportUnknownMemberType]


def geo_data_frame(collection: dict[str, Any]) -> geopandas.GeoDataFrame:
    """Return a GeoJSON FeatureCollection as a GeoDataFrame (EPSG:4326), one row a feature."""
    try:
        import geopandas  # noqa: PLC0415  # optional
    except ImportError:
        raise ImportError(
            "format='geopandas' needs geopandas, which is not installed: pip install 'flowkit[geo]', "
            "or ask for format='geojson'."
        ) from None
    features = collection.get("features", [])
    if not features:
        return geopandas.GeoDataFrame({"geometry": []}, geometry="geometry", crs=4326)
    return geopandas.GeoDataFrame.from_features(features, crs=4326)  # pyright: ignore[reportUnknownMemberType]
