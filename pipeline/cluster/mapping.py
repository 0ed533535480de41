"""
Build the index mapping that the field table asks for.

Explicit and tight: `dynamic: false`, no index or doc values where nobody would use them, only types
of the server's core but for constants, which `setup` leaves out where the cluster lacks their type.
Aliases make other names of a value searchable and store nothing.

elastic.co/guide/en/elasticsearch/reference/8.19/mapping-params.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.alb.fields import Field

IGNORE_ABOVE = 8191
"""Characters of a keyword that Lucene always accepts: its limit is 32,766 bytes."""

_NONE: Mapping[str, str] = {}


def mapping_of(fields: Iterable[Field], constants: Mapping[str, str] = _NONE) -> dict[str, Any]:
    """Return the mapping of documents with these fields, their aliases and constants included."""
    properties: dict[str, Any] = {}
    for each in fields:
        _put(properties, each.name, _leaf(each, constants))
        for alias in each.aliases:
            _put(properties, alias, {"type": "alias", "path": each.name})
    return {"dynamic": False, "properties": properties}


def _put(properties: dict[str, Any], name: str, leaf: dict[str, Any]) -> None:
    *path, last = name.split(".")
    for step in path:
        properties = properties.setdefault(step, {"properties": {}})["properties"]
    properties[last] = leaf


def _leaf(each: Field, constants: Mapping[str, str]) -> dict[str, Any]:
    leaf: dict[str, Any] = {"type": each.type}
    if each.type == "constant_keyword":
        leaf["value"] = constants[each.name]
    if each.type == "keyword" and (each.index or each.doc_values):
        leaf["ignore_above"] = IGNORE_ABOVE
    if each.type in {"ip", "geo_point"}:
        leaf["ignore_malformed"] = True  # an odd address never rejects a document
    if not each.index:
        leaf["index"] = False
    if not each.doc_values:
        leaf["doc_values"] = False
    return leaf


def without_constants(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping without its constants and their aliases, for clusters without their type."""
    constants = set(_constants(mapping["properties"]))
    return {**mapping, "properties": _without(mapping["properties"], constants)}


def _constants(properties: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, leaf in properties.items():
        if "properties" in leaf:
            yield from _constants(leaf["properties"], f"{above}{name}.")
        elif leaf["type"] == "constant_keyword":
            yield above + name


def _without(properties: dict[str, Any], names: set[str], above: str = "") -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, leaf in properties.items():
        if "properties" in leaf:
            below = _without(leaf["properties"], names, f"{above}{name}.")
            kept |= {name: {**leaf, "properties": below}} if below else {}
        elif not {above + name, leaf.get("path")} & names:
            kept[name] = leaf
    return kept
