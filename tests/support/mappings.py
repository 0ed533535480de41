"""Read the mappings that are checked in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parents[2] / "index_templates"

Json = dict[str, Any]


def mapping(name: str) -> Json:
    """Return a mapping as it is checked in."""
    loaded: Json = json.loads((TEMPLATES / f"mappings-{name}.json").read_text(encoding="utf-8"))
    found: Json = loaded["template"]["mappings"]
    return found


def leaves(properties: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Json]]:
    """Yield every field of a mapping by its dotted name."""
    for name, each in properties.items():
        if "properties" in each:
            assert {"properties"} == each.keys()
            yield from leaves(each["properties"], (*path, name))
        else:
            yield ".".join((*path, name)), each
