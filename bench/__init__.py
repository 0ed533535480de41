"""
Measure what the pipeline promises, as ratios that any machine can check: `make bench`.

    sizes       how much is measured: tiny, quick, default, full
    machine     what the figures were measured on
    sample      the traffic, and how varied it is
    timing      interleaved repeats and their medians
    report      figures and their goals, as a table and as JSON
    parsing     the encoder against pygrok and against orjson alone
    split       where the encoder's time goes
    concealing  the encoder under privacy settings and filters against the encoder without
    cluster     fresh indices of the run's own in a real Elasticsearch, removed at the end
    landed      documents and an index as they were before documents became lean
    indexing    end to end against what the server can take; our templates against others
    workers     the processes of a backfill: against the server, two against one, their memory
    serving     what those processes ingest with
    shelf       the server of their objects
    memory      the peak of a process that ingests a large object into a slow cluster
    large       that process

What each field costs takes long and changes seldom, so it is a run of its own:

    groups      the fields that are left out together, and what is asked of them
    fields      the server's time and bytes for each: `python -m bench.fields`

Contenders take turns (A B A B …), so that other load on the machine affects all of them alike.
`docs/performance.md` explains the figures.
"""
