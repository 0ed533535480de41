"""Turn a chunk into acknowledged documents and dead letters."""
