"""Write every generated file: `make docs`, or `python -m docs.generate`."""

from docs.generate.files import ROOT, generated_files


def main() -> None:
    """Write every generated file below the repository's root."""
    for path, text in generated_files():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
