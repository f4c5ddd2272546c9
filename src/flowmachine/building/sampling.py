"""Random samples of subscribers, drawn by a digest of seed and subscriber: the same on every engine."""

import json

import ibis
import ibis.expr.types as ir

from flowmachine.questions.sampling import RandomSample

_DIGITS = 13
"""Hexadecimal digits of a digest that are looked at: 52 bits, which a float holds exactly."""


@ibis.udf.scalar.builtin(name="md5")
def _md5(text: str) -> str:  # type: ignore[empty-body]
    """The MD5 digest of a text, in 32 hexadecimal digits."""


def sampled(rows: ir.Table, sampling: RandomSample) -> ir.Table:
    """The rows of a random sample of the subscribers: all of a subscriber's rows, or none.

    The order of the draw is that of MD5 digests of method, seed and subscriber, so a sample depends on nothing else:
    not on an engine, nor on how rows lie on a disk; and a larger sample of a seed holds the smaller one.
    """
    drawn = rows.mutate(draw=_draw(rows.subscriber, sampling))
    if sampling.fraction is not None and sampling.sampling_method != "random_ids":
        kept = drawn.filter(drawn.draw < format(int(sampling.fraction * 16**_DIGITS), f"0{_DIGITS}x"))
    else:
        drawn = drawn.mutate(place_in_draw=ibis.dense_rank().over(order_by=[drawn.draw, drawn.subscriber]))
        if sampling.size is not None:
            kept = drawn.filter(drawn.place_in_draw < sampling.size)
        else:
            # In a column of its own: a filter by a window is SQL that PostgreSQL does not take.
            drawn = drawn.mutate(people=drawn.place_in_draw.max().over() + 1)
            kept = drawn.filter(drawn.place_in_draw < (drawn.people * sampling.fraction).floor()).drop("people")
        kept = kept.drop("place_in_draw")
    return kept.drop("draw")


def _draw(subscriber: ir.Value, sampling: RandomSample) -> ir.StringValue:
    salt = json.dumps([sampling.sampling_method, sampling.seed])
    return _md5(ibis.literal(salt) + subscriber.cast("string")).left(_DIGITS)
