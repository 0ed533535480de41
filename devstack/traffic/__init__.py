"""
Generate realistic Application Load Balancer traffic from a seed: same seed, same bytes.

It shares no code with the pipeline and writes every line from its own knowledge of the
format, so it can serve as a check on the pipeline. `objects` fills a bucket with an hour
of three load balancers; `access`, `odd`, `bad`, `connections` and `health` write lines.
"""

from devstack.traffic.access import GENERATIONS, as_generation, ordinary_lines
from devstack.traffic.bad import BAD_SHAPES, bad_lines
from devstack.traffic.characters import CHARACTERS
from devstack.traffic.connections import CONNECTION_GENERATIONS, connection_lines
from devstack.traffic.health import HEALTH_CHECK_GENERATIONS, health_check_lines
from devstack.traffic.objects import WrittenObject, gz, hour_of_objects, line_id
from devstack.traffic.odd import ODD_SHAPES, odd_lines

__all__ = [
    "BAD_SHAPES",
    "CHARACTERS",
    "CONNECTION_GENERATIONS",
    "GENERATIONS",
    "HEALTH_CHECK_GENERATIONS",
    "ODD_SHAPES",
    "WrittenObject",
    "as_generation",
    "bad_lines",
    "connection_lines",
    "gz",
    "health_check_lines",
    "hour_of_objects",
    "line_id",
    "odd_lines",
    "ordinary_lines",
]
