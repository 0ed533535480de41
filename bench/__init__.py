"""
Measure what the pipeline promises, as ratios that any machine can check: `make bench`.

    sizes       how much is measured: tiny, quick, default, full
    machine     what the figures were measured on
    sample      the traffic, and how varied it is
    timing      interleaved repeats and their medians
    report      figures and their goals, as a table and as JSON
    parsing     the encoder against pygrok and against orjson alone
    split       where the encoder's time goes
    cluster     fresh indices of our own in a real Elasticsearch, and none left behind
    throughput  end to end against the rate at which the server takes ready bodies
    mapping     our templates against default dynamic mapping
    memory      the peak of a process that ingests a large object into a slow cluster

Contenders take turns (A B A B …), so that what else the machine does falls on all of them alike.
Figures are explained in `docs/performance.md`.
"""
