"""
Measure what the pipeline promises, as ratios that any machine can check: `make bench`.

    sizes       how much is measured: tiny, quick, default, full
    machine     what the figures were measured on
    sample      the traffic, and how varied it is
    timing      interleaved repeats and their medians
    report      figures and their goals, as a table and as JSON
    parsing     the encoder against pygrok and against orjson alone
    split       where the encoder's time goes
    cluster     fresh indices of the run's own in a real Elasticsearch, removed at the end
    indexing    end to end against what the server can take; our templates against dynamic mapping
    memory      the peak of a process that ingests a large object into a slow cluster
    large       that process

Contenders take turns (A B A B …), so that other load on the machine affects all of them alike.
`docs/performance.md` explains the figures.
"""
