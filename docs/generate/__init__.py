"""
Write the files that repeat the code's own tables: index mappings, and four pages of `docs/`.

    files    the list: each file's path and text
    fields   docs/fields.md
    usage    docs/cli.md, docs/settings.md, docs/metrics.md

`make docs` writes them; a contract test fails while a file and its table differ.
"""
