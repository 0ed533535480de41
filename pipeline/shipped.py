"""
Find the files that travel with the package: grok patterns and cluster templates.

In a checkout and in the Lambda zip they are beside `pipeline/`, where Logstash and people look for
them; a wheel holds them inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder, by its name in the repository."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name
