"""A bundle's own code, as text: what is written there is no student's."""

from pathlib import Path

_LONGEST_FILE = 1024 * 1024


def source_of(bundle: Path) -> str:
    """The text of the bundle's code, its packages' included, without its sample data."""
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and "data" not in path.relative_to(bundle).parts
        and path.stat().st_size < _LONGEST_FILE
    )
