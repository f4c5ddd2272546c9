"""The tables that come in by the day: events of each type, mobile money, and the visits that are counted from them."""

from dataclasses import dataclass

from flowdb.tables.declaration import Column, Table


@dataclass(frozen=True)
class EventTable(Table):
    """A type of events: its table, and what follows from it wherever event types are listed.

    To add a type, declare it in EVENTS. It can then be ingested, queried, copied to PostgreSQL and synthesised;
    `make generate` brings it into the client, AutoFlow and the documentation.
    """

    queryable: bool = True
    """Whether queries may name it in `event_types`."""
    by_default: bool = False
    """Whether queries look at it if they name no event types."""
    usual: bool = True
    """Whether operators usually deliver it: synthetic deliveries and the demo have it then."""

    @property
    def two_party(self) -> bool:
        """Whether an event has another party."""
        return _COUNTERPART.name in self

    @property
    def directed(self) -> bool:
        """Whether a row tells which party began the event."""
        return _OUTGOING.name in self


_ID = Column("id", "int64", "The interaction; both parties' rows of one call or text share it.", identifies=True)
_OUTGOING = Column("outgoing", "bool", "True on the row of the party that called or wrote.")
_DATETIME = Column("datetime", "timestamp", "The instant of the event.", unit="UTC", required=True)
_MSISDN = Column("msisdn", "int64", "The subscriber.", required=True, identifies=True)
_COUNTERPART = Column("msisdn_counterpart", "int64", "The other party.", identifies=True)
_NETWORK = Column("network", "string", "The network of the other party.")
_LOCATION = Column("location_id", "string", "The cell that carried the event; see cells.id.")
_DEVICE = (
    Column("imsi", "int64", "The SIM card.", identifies=True),
    Column("imei", "int64", "The handset.", identifies=True),
    Column("tac", "int32", "The handset's model; see tacs.id."),
    Column("operator_code", "int32", "The mobile network code."),
    Column("country_code", "int32", "The mobile country code."),
)

DAY = Column("day", "date", "The local day of the event.", unit="the deployment's time zone", required=True)
MINUTE = Column("minute", "int16", "The local minute of the day of the event, 0 to 1439.", required=True)
SETTLED = (MINUTE, DAY)
"""Columns that loading adds, so that no query pays for time zones; `day` is the partition."""

EVENTS: dict[str, EventTable] = {
    table.name: table
    for table in (
        EventTable(
            "calls",
            "A call, one row a party.",
            (
                _ID,
                _OUTGOING,
                _DATETIME,
                Column("duration", "float64", "How long the call lasted.", unit="s"),
                _NETWORK,
                _MSISDN,
                _COUNTERPART,
                _LOCATION,
                *_DEVICE,
            ),
            by_default=True,
        ),
        EventTable(
            "sms",
            "A text message, one row a party.",
            (_ID, _OUTGOING, _DATETIME, _NETWORK, _MSISDN, _COUNTERPART, _LOCATION, *_DEVICE),
            by_default=True,
        ),
        EventTable(
            "mds",
            "A mobile data session.",
            (
                _ID,
                _DATETIME,
                Column("duration", "float64", "How long the session lasted.", unit="s"),
                Column("volume_total", "float64", "Data moved.", unit="MB"),
                Column("volume_upload", "float64", "Data sent.", unit="MB"),
                Column("volume_download", "float64", "Data received.", unit="MB"),
                _MSISDN,
                _LOCATION,
                *_DEVICE,
            ),
        ),
        EventTable(
            "topups",
            "A recharge of a subscriber's balance.",
            (
                _ID,
                _DATETIME,
                Column("type", "string", "The kind of recharge."),
                Column("recharge_amount", "float64", "The amount paid.", unit="the operator's currency"),
                Column("airtime_fee", "float64", "The fee kept.", unit="the operator's currency"),
                Column("tax_and_fee", "float64", "Taxes and other fees.", unit="the operator's currency"),
                Column("pre_event_balance", "float64", "The balance before.", unit="the operator's currency"),
                Column("post_event_balance", "float64", "The balance after.", unit="the operator's currency"),
                _MSISDN,
                _LOCATION,
                *_DEVICE,
            ),
        ),
        EventTable(
            "forwards",
            "A forwarded call, one row a party.",
            (_ID, _OUTGOING, _DATETIME, _NETWORK, _MSISDN, _COUNTERPART, _LOCATION, *_DEVICE),
            usual=False,
        ),
    )
}
"""The event tables, by event type."""

EVENT_TYPES: tuple[str, ...] = tuple(EVENTS)
"""Every event type that can be stored."""
QUERYABLE: tuple[str, ...] = tuple(name for name, table in EVENTS.items() if table.queryable)
"""The event types that queries may name."""
DEFAULT_TYPES: tuple[str, ...] = tuple(name for name, table in EVENTS.items() if table.by_default)
"""The event types of a query that names none; those of FlowKit."""
USUAL_TYPES: tuple[str, ...] = tuple(name for name, table in EVENTS.items() if table.usual)
"""The event types that operators usually deliver."""

TRANSACTIONS = Table(
    "transactions",
    "A mobile money transaction, one row a party, each with the whole amount.",
    (
        Column("id", "int64", "The transaction; its parties' rows share it.", required=True, identifies=True),
        Column("outgoing", "bool", "True on the row of the party that paid."),
        Column("datetime", "timestamp", "The instant of the transaction.", unit="UTC", required=True),
        Column("amount", "float64", "The amount moved.", unit="the operator's currency"),
        Column("discount", "float64", "The discount given.", unit="the operator's currency"),
        Column("fee", "float64", "The fee taken.", unit="the operator's currency"),
        Column("commission", "float64", "The commission paid to an agent.", unit="the operator's currency"),
        Column("type", "string", "The kind of transaction."),
        _MSISDN,
        Column("location_id", "string", "The cell that the party was at; see cells.id."),
        Column("cell_version", "int32", "The version of that cell; empty: the one of that day."),
    ),
)
DAILY: dict[str, Table] = {**EVENTS, TRANSACTIONS.name: TRANSACTIONS}
"""The tables that come in by the day: events, and mobile money."""

VISITS = Table(
    "visits",
    "The events of one type that a subscriber had at a cell on a day, counted; settled when the day comes in.",
    (
        _MSISDN,
        _LOCATION,
        Column("events", "int32", "How many events.", required=True),
        Column(
            "outgoing", "int32", "How many of them were outgoing; 0 where the type has no direction.", required=True
        ),
        Column(
            "incoming", "int32", "How many of them were incoming; 0 where the type has no direction.", required=True
        ),
        Column("first", "timestamp", "The instant of the first.", unit="UTC", required=True),
        Column("last", "timestamp", "The instant of the last.", unit="UTC", required=True),
        DAY,
    ),
)
"""What questions read that need no single event; the lake holds one such table an event type."""


def stored_columns(event_type: str) -> tuple[Column, ...]:
    """Columns of a table of DAILY as the lake holds it: the delivered ones, then the settled ones."""
    return (*DAILY[event_type].columns, *SETTLED)
