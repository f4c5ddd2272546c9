"""The catalogue: every kind described as data, for the API, the client's generator and the documentation."""

import copy
import inspect
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from flowdb.tables import UNITS
from flowmachine.questions.columns import L
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.questions.roles import SLOTS
from flowmachine.questions.slots import slot_members
from flowmachine.release import is_published

REF = "#/components/schemas/{model}"


def schemas(units: tuple[str, ...] = UNITS) -> dict[str, Any]:
    """The JSON Schemas of every kind, slot and block, by component name, with the units that a store has.

    `FlowmachineQuerySchema` is the root: what may be run. Each kind and each slot stands once, and a kind refers to the
    slots that its parameters hold. A kind whose unit is that of a nested query has a read-only `aggregation_unit`, so
    that its units are known wherever permissions are listed.
    """
    if units == UNITS:
        return _schemas()
    components = copy.deepcopy(_schemas())
    own = [unit for unit in units if unit not in UNITS]
    for cls in kinds().values():
        unit = components[cls.__name__]["properties"].get("aggregation_unit")
        if unit is not None:
            unit["enum"] = [*(u for u in unit["enum"] if u in units), *own]
    return components


@cache
def _schemas() -> dict[str, Any]:
    by_kind = kinds()
    _, definitions = models_json_schema([(cls, "validation") for cls in by_kind.values()], ref_template=REF)
    components: dict[str, Any] = definitions["$defs"]
    for name, cls in by_kind.items():
        component = components[cls.__name__]
        component["description"] = summary(cls)
        # A single member is written as an enum, by which readers of FlowKit's document recognise kinds.
        component["properties"]["query_kind"] = {"type": "string", "enum": [name]}
        component.setdefault("required", []).insert(0, "query_kind")
        if "aggregation_unit" not in component["properties"] and has_location(cls):
            component["properties"]["aggregation_unit"] = {"type": "string", "enum": list(UNITS), "readOnly": True}
    slots = {slot: slot_members(slot) for slot in SLOTS}
    by_members = {frozenset(members): slot for slot, members in slots.items()}
    components = {name: _by_reference(component, by_members) for name, component in components.items()}
    components |= {slot: _slot(members) for slot, members in slots.items()}
    components["FlowmachineQuerySchema"] = _one_of([name for name, cls in by_kind.items() if is_published(cls)])
    return dict(sorted(components.items()))


@cache
def catalogue() -> dict[str, Any]:
    """Every kind with its summary, parameters, columns and example."""
    components = schemas()
    return {"kinds": [_entry(cls, components[cls.__name__]) for cls in kinds().values()]}


@cache
def takers(kind: str) -> tuple[str, ...]:
    """The kinds that have a parameter, other than `subscriber_subset`, which may hold queries of a kind."""
    targets = {kinds()[kind].__name__, *(slot for slot in SLOTS if kind in slot_members(slot))}
    references = tuple(f'"{REF.format(model=target)}"' for target in targets)
    taking = []
    for name, cls in kinds().items():
        fields = schemas()[cls.__name__]["properties"]
        text = json.dumps({field: schema for field, schema in fields.items() if field != "subscriber_subset"})
        if any(reference in text for reference in references):
            taking.append(name)
    return tuple(taking)


def summary(cls: type[Query]) -> str:
    """The first line of a kind's docstring: its cell in a table."""
    return inspect.getdoc(cls).partition("\n")[0]  # type: ignore[union-attr]


def has_location(cls: type[Query]) -> bool:
    """Whether a kind's rows are of locations."""
    return L in cls.columns.values()


def _entry(cls: type[Query], component: dict[str, Any]) -> dict[str, Any]:
    required = component.get("required", [])
    return {
        "kind": cls.kind,
        "component": cls.__name__,
        "role": cls.role,
        "top_level": is_published(cls),
        "has_geometry": is_published(cls) and has_location(cls),
        "summary": summary(cls),
        "description": inspect.getdoc(cls).partition("\n")[2].strip(),  # type: ignore[union-attr]
        "parameters": [
            {
                "name": name,
                "schema": {k: v for k, v in component["properties"][name].items() if k not in ("title", "description")},
                "required": name in required,
                "default": None if name in required else component["properties"][name].get("default"),
                "description": info.description,
            }
            for name, info in cls.model_fields.items()
            if name != "query_kind"
        ],
        "columns": cls.model_validate(cls.example).result_columns,
        "example": dict(cls.example),
    }


def _by_reference(schema: Any, slots: Mapping[frozenset[str], str]) -> Any:
    """A schema in which a reference to a slot stands for each choice of the slot's kinds."""
    if isinstance(schema, list):
        return [_by_reference(each, slots) for each in schema]
    if not isinstance(schema, dict):
        return schema
    choice = schema.get("discriminator", {})
    slot = slots.get(frozenset(choice.get("mapping", ())))
    if slot is not None and choice.get("propertyName") == "query_kind":
        rest = {name: value for name, value in schema.items() if name not in ("oneOf", "discriminator")}
        return {"$ref": REF.format(model=slot)} | rest
    return {name: _by_reference(value, slots) for name, value in schema.items()}


def _slot(members: list[str]) -> dict[str, Any]:
    """The schema of a slot: an object of one of its kinds, which depends on its `query_kind`.

    Kinds nest without end. Pages and programs that write out every `oneOf` and `properties` would never come to an end;
    they do not write out `dependentSchemas`, and validators follow it all the way down.
    """
    return {
        "type": "object",
        "description": f"A query of one of the kinds {', '.join(members)}, with the parameters of its kind.",
        "required": ["query_kind"],
        "properties": {"query_kind": {"type": "string", "enum": members}},
        "dependentSchemas": {"query_kind": _one_of(members)},
    }


def _one_of(members: list[str]) -> dict[str, Any]:
    refs = {name: REF.format(model=kinds()[name].__name__) for name in members}
    return {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "query_kind", "mapping": refs},
    }
