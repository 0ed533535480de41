"""
List the packages in the zip of the function as a CycloneDX bill of materials.

It is read off the zip itself, from the descriptions that Python packages carry, so it names what is
there and not what was asked for. The same zip makes the same bill.

https://cyclonedx.org/docs/1.6/json/
"""

import hashlib
import json
import re
import uuid
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from pipeline.version import VERSION

_DESCRIPTION = re.compile(r"[^/]+\.dist-info/METADATA")
_OURS = "pkg:pypi/alb-log-pipeline"
_SHORT = 64
"""Characters of the name of a licence; longer texts are the licence itself."""


def bill_of_materials(path: Path) -> str:
    """Return the bill of a zip as JSON."""
    components = sorted(_components(path), key=lambda each: str(each["name"]))
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    own = f"{_OURS}@{VERSION}"
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, content).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": path.stem,
                "version": VERSION,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": own,
                "hashes": [{"alg": "SHA-256", "content": content}],
            }
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [each["bom-ref"] for each in components]}],
    }
    return json.dumps(bill, indent=2) + "\n"


def _components(path: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if _DESCRIPTION.fullmatch(name):
                yield _component(BytesHeaderParser().parsebytes(archive.read(name)))


def _component(description: Message) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", description["Name"]).lower()
    version = description["Version"]
    reference = f"pkg:pypi/{name}@{version}"
    about = {"type": "library", "bom-ref": reference, "name": name, "version": version}
    return {**about, **_licence(description), "purl": reference}


def _licence(description: Message) -> dict[str, Any]:
    """Return the licence as far as the package names one: an SPDX expression, else its words."""
    if expression := description["License-Expression"]:
        return {"licenses": [{"expression": expression}]}
    named = description["License"] or ""
    classified = [
        each.rpartition(" :: ")[2]
        for each in description.get_all("Classifier", [])
        if each.startswith("License ::")
    ]
    name = named if 0 < len(named) <= _SHORT else ", ".join(classified)
    return {"licenses": [{"license": {"name": name}}]} if name else {}
