"""Find the field that a setting names, or say what is wrong with the name."""

from difflib import get_close_matches

from pipeline.alb.fields import ENRICHED, ERASED, Field, Kind, fields_of

FIELDS: dict[str, Field] = {field.name: field for kind in Kind for field in fields_of(kind)}
"""Every field that a document of any kind may have, by its name."""

_OF_CLUSTER = {field.name for fields in ENRICHED.values() for field in fields}
_ALIASES = {alias: field.name for field in FIELDS.values() for alias in field.aliases}


def find_field(name: str) -> Field | str:
    """Return the field of this name; where there is none that is made here, say so in words."""
    if name in _OF_CLUSTER:
        return f"{name} is added by the cluster, after a document is sent: name a field of the line"
    if name == ERASED.name:
        return f"{name} is added by `alb-logs erase`: name a field of the line"
    if name in FIELDS:
        return FIELDS[name]
    if name in _ALIASES:
        return f"{name} is an alias: write {_ALIASES[name]}"
    ours = [known for known in FIELDS if known not in {*_OF_CLUSTER, ERASED.name}]
    below = [known for known in ours if known.startswith(f"{name}.")]
    near = below or get_close_matches(name, [*ours, *_ALIASES], n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near[:3])}?" if near else "docs/fields.md lists them all"
    return f"{name!r} is not a field: {hint}"
