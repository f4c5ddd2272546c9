"""Deliveries that are not what they are said to be: of another event type, at unknown cells, or with people as cells.

Raw identifiers never get into the lake through the column of cells: what is no loaded cell, and is a subscriber of the
same delivery or has the form of a telephone number, is left empty, or the delivery is refused.
"""

# ruff: noqa: S608 - SQL is made of declared names and own paths; delivered values never stand in it

from collections.abc import Mapping, Sequence

from flowdb.lake import Lake
from flowdb.reference.column_names import better_fit
from flowdb.reference.errors import DeliveryError
from flowdb.tables import DAILY
from flowetl import pseudonyms
from flowetl.cleaning import form
from flowetl.deliveries import Delivery
from flowetl.staging import Run, Staged
from flowkit_base.sql_text import literal, literals

_TELEPHONE = r"\+?\d{8,15}"
_UNKNOWN_AT_MOST = 0.9
# Of a handful of rows a share says nothing: one new cell makes it.
_FEWEST_ROWS = 20
_PEOPLE_AT_MOST = 0.1


def refuse_other_type(lake: Lake, event_type: str, given: Sequence[Delivery], columns: Mapping[str, str]) -> None:
    """Raise DeliveryError if a file has the columns of another event type, or is loaded as another one."""
    for delivery in given:
        fit = better_fit(delivery.header, DAILY[event_type], columns, DAILY.values())
        if fit is not None:
            raise DeliveryError(f"{delivery.name} {fit}. If it is {event_type} all the same, say --insist.")
    checksums = {delivery.sha256: delivery for delivery in given}
    for other in DAILY:
        if other == event_type:
            continue
        for record in lake.history(other) if lake.days(other) else []:
            for source in record["facts"].get("sources", []):
                if delivery := checksums.get(source["sha256"]):
                    raise DeliveryError(
                        f"{delivery.name} is loaded already, as {other} of {record['day']}. If it is {event_type} too, "
                        "say --insist."
                    )


def check_cells(run: Run, staged: Staged, *, insist: bool) -> None:
    """See that the staged rows of each file are at cells.

    Makes the table `people_as_cells` of texts that are to be left empty, and counts their rows in `staged.emptied`.
    Raises DeliveryError, unless `insist`, if nearly all rows of a file, of 20 or more, are at unknown cells or people.
    """
    good = literals(p for part in staged.parts for p in part.glob("day=*-*/*.parquet"))
    connection = run.connection
    connection.execute("CREATE TEMP TABLE people_as_cells (location_id VARCHAR)")
    if good == "[]":
        return
    connection.register("loaded_cells", run.lake.reference("cells").select(["id"]))
    connection.execute(
        f"""CREATE TEMP TABLE cells_of_files AS
        SELECT *, location_id IN (SELECT id FROM loaded_cells) AS known FROM (
          SELECT file, location_id, count(*) AS events FROM read_parquet({good}, hive_partitioning = false)
          WHERE location_id IS NOT NULL GROUP BY ALL)"""
    )
    parties = " UNION ALL ".join(
        f"SELECT {name} FROM read_parquet({good}, hive_partitioning = false) WHERE {name} IS NOT NULL"
        for name in ("msisdn", "msisdn_counterpart")
        if name in DAILY[run.event_type]
    )
    # Where cells are numbers themselves, the form of a number says nothing.
    numbers = f"regexp_full_match(id, {literal(_TELEPHONE)})"
    ((any_unknown, cells, numbered),) = connection.execute(
        f"""SELECT (SELECT count(*) FROM cells_of_files WHERE NOT known), count(*), count(*) FILTER ({numbers})
        FROM loaded_cells"""
    ).fetchall()
    if any_unknown:
        shaped = "false" if numbered or insist else f"regexp_full_match(location_id, {literal(_TELEPHONE)})"
        connection.execute(
            f"""INSERT INTO people_as_cells SELECT DISTINCT location_id FROM cells_of_files
            WHERE NOT known AND ({shaped} OR {pseudonyms.expression("msisdn", "location_id")} IN ({parties}))"""
        )
    counted = connection.execute(
        f"""SELECT file, sum(events), coalesce(sum(events) FILTER (NOT known), 0),
          coalesce(sum(events) FILTER (location_id IN (FROM people_as_cells)), 0),
          first({form("location_id")} ORDER BY known, events DESC)
        FROM cells_of_files GROUP BY file ORDER BY file"""
    ).fetchall()
    connection.unregister("loaded_cells")
    connection.execute("DROP TABLE cells_of_files")
    for file, located, unknown, people, shape in counted:
        delivery = staged.files[file]
        if people:
            staged.emptied[delivery] = int(people)
        if insist:
            continue
        if people and people >= _PEOPLE_AT_MOST * located:
            raise DeliveryError(
                f"{delivery.name}: in {people:,} of {located:,} rows the cell looks like the number of a subscriber "
                f"(such as {shape}) and is no loaded cell: read the column of cells with --map location_id=COLUMN. "
                "If these are cells, load the cells first, or say --insist."
            )
        if cells and located >= _FEWEST_ROWS and unknown >= _UNKNOWN_AT_MOST * located:
            raise DeliveryError(
                f"{delivery.name}: {unknown:,} of {located:,} rows are at cells that are not loaded (such as {shape}): "
                "is it the file of another network, or is the cell in another column? Load the cells first, or say "
                "--insist."
            )
