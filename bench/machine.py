"""Describe what the figures were measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from elasticsearch import Elasticsearch

from pipeline.sink.requests import JSON


def describe_machine() -> dict[str, str]:
    """Return the machine and the versions that the figures depend on."""
    return {
        "CPU": f"{_cpu_model()}, {_cores()} cores, load {os.getloadavg()[0]:.1f} before the run",
        "Python": f"{platform.python_version()} on {platform.system()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    }


_PACKAGES = ("orjson", "isal", "pygrok", "elasticsearch")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def describe_elasticsearch(es: Elasticsearch) -> dict[str, str]:
    """Return the version and the heap of each node."""
    path = "/_nodes?filter_path=nodes.*.version,nodes.*.jvm.mem.heap_max_in_bytes"
    nodes = es.perform_request("GET", path, headers=JSON).body["nodes"].values()
    told = (
        f"{node['version']} with {node['jvm']['mem']['heap_max_in_bytes'] >> 20} MiB of heap"
        for node in nodes
    )
    return {"Elasticsearch": "; ".join(told)}
