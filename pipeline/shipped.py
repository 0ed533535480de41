"""
Find the files that travel with the package: grok patterns and cluster templates.

In a checkout and in the Lambda package they stand beside `pipeline/`, where Logstash and people
look for them; in a wheel they travel inside it.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Give the path of a shipped file or folder, named as in the repository."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name
