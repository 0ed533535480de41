"""
Run `alb-logs` as it is, but for limits of time in `pipeline.sink` that no test can wait for.

    python -m tests.e2e.ingest_process REQUEST_SECONDS=1 … -- ingest …
"""

import sys

from pipeline.cli import main
from pipeline.sink import bulk as sink

if __name__ == "__main__":
    end = sys.argv.index("--")
    for limit in sys.argv[1:end]:
        name, _, seconds = limit.partition("=")
        if not isinstance(getattr(sink, name), float):
            raise TypeError(name)
        setattr(sink, name, float(seconds))
    main(sys.argv[end + 1 :])
