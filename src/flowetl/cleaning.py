"""From delivered text to stored values, as SQL: what a good line becomes, and why a bad one is bad.

Values are trimmed; nothing, NULL, None, NaN and \\N mean no value. A line is bad where it has another number of
fields than the header, no readable time between 1990 and tomorrow, no subscriber, or a value that is not of its
column's type. Identifiers leave these expressions as pseudonyms only.
"""

# ruff: noqa: S608 - SQL is made of declared names; delivered values never stand in it

import datetime as dt
import re
from collections.abc import Mapping

from flowdb.bounded_duckdb import SQL_TYPES
from flowdb.reference.values import DECIMAL_COMMA, FALSE_WORDS, NO_VALUE, NOUNS, TRUE_WORDS
from flowdb.tables import DAILY, Column, stored_columns
from flowetl import pseudonyms, zones
from flowkit_base.sql_text import literal

_TIME = r"\d{4}[-/]\d{2}[-/]\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_OFFSET = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
_MINUTE = 60_000_000
_CHECKED = ("float64", "int32", "int16", "bool")
"""The types whose texts may be misread."""


def tidied(line: str, delimiter: str) -> str:
    """The SQL expression of a line with its odd blanks (tabs, no-break spaces, carriage returns) made plain ones."""
    odd = [code for code in (9, 13, 160, 65279) if chr(code) != delimiter]
    has_odd = " OR ".join(f"contains({line}, chr({code}))" for code in odd)
    replaced = line
    for code in odd:
        replaced = f"replace({replaced}, chr({code}), ' ')"
    return f"CASE WHEN {has_odd} THEN {replaced} ELSE {line} END"


def fields_of_line(delimiter: str) -> str:
    """The SQL expression of the fields of the text column `line`; NULL where its quotes are not balanced."""
    d = literal(delimiter)
    split = f"string_split(line, {d})"
    escaped = re.escape(delimiter)
    token = f'(?:\\s*"(?:[^"]|"")*"\\s*|[^{escaped}"]*){escaped}'
    # Each token carries its delimiter, so that together they must make up the line again.
    tokens = f"regexp_extract_all(line || {d}, {literal(token)})"
    bare = "trim(left(x, length(x) - 1))"
    unquoted = f"CASE WHEN {bare} LIKE '\"%' THEN replace({bare}[2:-2], '\"\"', '\"') ELSE {bare} END"
    whole = f"CASE WHEN array_to_string({tokens}, '') = line || {d} THEN {tokens} END"
    return f"CASE WHEN contains(line, '\"') THEN list_transform({whole}, lambda x: {unquoted}) ELSE {split} END"


def cleaned(
    event_type: str,
    values: Mapping[str, str],
    source: str,
    *,
    source_zone: str,
    zone: str,
    today: dt.date,
    structure: str,
    whole: str,
    decimal_comma: bool = False,
) -> str:
    """The SELECT that makes stored rows of delivered ones, with a `reason` where a row is bad.

    `values` gives the SQL expression of the text of each delivered column over `source`; `structure` one that says
    what is wrong with a line as a whole; `whole` one of the line. With
    `decimal_comma`, numbers may have one. The columns `file` and `line_number` of the source
    are passed on. The result has the stored columns, `day` being NULL on bad rows, and their `reason` and `form`; no
    delivered text is in it but cells, networks and kinds of good rows.
    """
    table = DAILY[event_type]
    texts = ", ".join(f"{_text(c, values[c.name], decimal_comma)} AS {c.name}_text" for c in table if c.name in values)
    until = today + dt.timedelta(days=1)
    naive_us, absolute = "epoch_us(naive)", "absolute_us"
    local_offset = zones.offset_at_local(source_zone, until, naive_us)
    instant_offset = zones.offset_at_instant(zone, until, "us")
    earliest = int(zones.EARLIEST.timestamp()) * 1_000_000
    latest = (until - dt.date(1970, 1, 1)).days * 86400 * 1_000_000 + 86400 * 1_000_000
    parsed = ", ".join(f"{_parsed(c)} AS {c.name}" for c in table if c.name in values and c.name != "datetime")
    reason = _reason(event_type, values, earliest, latest)
    stored = ", ".join(_stored(c, values) for c in stored_columns(event_type) if c.name != "day")
    return f"""
    SELECT file, line_number, reason, CASE WHEN reason IS NOT NULL THEN {form("whole")} END AS form, {stored},
      CASE WHEN reason IS NULL THEN make_timestamp(local_us)::DATE END AS day
    FROM (
      SELECT *, {reason} AS reason
      FROM (
        SELECT *, us + {instant_offset} AS local_us
        FROM (
          SELECT *, coalesce({absolute}, {naive_us} - {local_offset}) AS us
          FROM (
            SELECT *, {_naive("datetime_text")} AS naive, {_absolute("datetime_text")} AS absolute_us
              , {parsed}
            FROM (
              SELECT file, line_number, {whole} AS whole, {structure} AS structure, {texts}
              FROM ({source})
            )
          )
        )
      )
    )"""


def form(text: str) -> str:
    """The SQL expression of a text with every digit as 9 and every letter as a: its form without its content."""
    return f"regexp_replace(regexp_replace({text}, '[0-9]', '9', 'g'), '[^0-9 ,;:|.\"/+\\t-]', 'a', 'g')"


def _text(column: Column, value: str, decimal_comma: bool) -> str:
    text = f"nullif(trim({value}), '')"
    if decimal_comma and column.type in ("float64", "int32"):
        comma = f"regexp_full_match({text}, {literal(DECIMAL_COMMA)})"
        return f"CASE WHEN {comma} THEN replace({text}, ',', '.') ELSE {text} END"
    return text


def _words(words: tuple[str, ...]) -> str:
    return f"({', '.join(map(literal, words))})"


def _said(text: str) -> str:
    """A text, or no value if it is one of the words for none."""
    return f"CASE WHEN {text} NOT IN {_words(NO_VALUE)} THEN {text} END"


def _naive(text: str) -> str:
    # The first pattern is cheap and fits nearly all; the casts alone would take zones and words such as epoch.
    return f"""CASE
      WHEN {text} LIKE '____-__-_____:__:__' THEN TRY_CAST({text} AS TIMESTAMP)
      WHEN regexp_full_match({text}, {literal(_TIME)}) THEN TRY_CAST(replace({text}, '/', '-') AS TIMESTAMP)
      WHEN regexp_full_match({text}, '\\d{{14}}') THEN try_strptime({text}, '%Y%m%d%H%M%S')
    END"""


def _absolute(text: str) -> str:
    plain = f"replace(replace(regexp_replace({text}, ' (Z|[+-])', '\\1'), '/', '-'), 'T', ' ')"
    return f"""CASE
      WHEN {text} LIKE '____-__-_____:__:__' THEN NULL
      WHEN regexp_full_match({text}, {literal(_TIME + _OFFSET)}) THEN epoch_us(TRY_CAST({plain} AS TIMESTAMPTZ))
    END"""


def _parsed(column: Column) -> str:
    text = f"{column.name}_text"
    match column.type:
        case "bool":
            lowered = f"lower({text})"
            true, false = _words(TRUE_WORDS), _words(FALSE_WORDS)
            return f"CASE WHEN {lowered} IN {true} THEN true WHEN {lowered} IN {false} THEN false END"
        case "float64" | "int32":
            return f"TRY_CAST({text} AS DOUBLE)"
        case _:
            return _said(text)


def _misread(column: Column) -> str:
    """The SQL condition that a non-empty text is not of its column's type."""
    name, text = column.name, f"{column.name}_text"
    # The cast takes 1_000 for a thousand.
    strange = f"{name} IS NULL OR NOT isfinite({name}) OR contains({text}, '_')"
    match column.type:
        case "bool":
            wrong = f"{name} IS NULL"
        case "int32":
            wrong = f"{strange} OR {name} <> trunc({name}) OR abs({name}) >= 2147483648"
        case _:
            wrong = strange
    return f"{text} IS NOT NULL AND ({wrong}) AND {text} NOT IN {_words(NO_VALUE)}"


def _reason(event_type: str, values: Mapping[str, str], earliest: int, latest: int) -> str:
    shown = (
        f"CASE WHEN regexp_full_match(datetime_text, {literal(_TIME + '(' + _OFFSET + ')?')}) THEN datetime_text END"
    )
    cases = [
        ("structure IS NOT NULL", "structure"),
        ("datetime_text IS NULL", "'datetime is empty'"),
        ("us IS NULL", f"concat_ws(': ', 'datetime is not a time', {shown})"),
        (
            f"local_us < {earliest} OR local_us >= {latest}",
            f"concat_ws(': ', 'datetime is before 1990 or after tomorrow', {shown})",
        ),
    ]
    cases += [
        (f"{c.name} IS NULL", f"'{c.name} is empty'") for c in DAILY[event_type] if c.required and c.name != "datetime"
    ]
    cases += [
        (_misread(c), f"'{c.name} is not {NOUNS[c.type]}'")
        for c in DAILY[event_type]
        if c.name in values and c.type in _CHECKED and not c.identifies
    ]
    return "CASE " + " ".join(f"WHEN {when} THEN {then}" for when, then in cases) + " END"


def _stored(column: Column, values: Mapping[str, str]) -> str:
    name = column.name
    if name == "datetime":
        return "make_timestamptz(us) AS datetime"
    if name == "minute":
        return f"((local_us // {_MINUTE}) % 1440)::SMALLINT AS minute"
    if name not in values:
        return f"NULL::{SQL_TYPES[column.type]} AS {name}"
    if column.identifies:
        return f"{pseudonyms.expression(name, name)} AS {name}"
    stored = {
        "int32": f"TRY_CAST({name} AS INTEGER)",
        "float64": f"CASE WHEN isfinite({name}) THEN {name} END",
        # The text of a bad line may stand under the wrong column, and be a subscriber.
        "string": f"CASE WHEN reason IS NULL THEN {name} END",
    }
    return f"{stored.get(column.type, name)} AS {name}"
