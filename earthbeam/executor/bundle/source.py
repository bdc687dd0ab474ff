"""A bundle's own code, as text. Nothing in it is a student's."""

from pathlib import Path

_LONGEST_FILE = 1024 * 1024


def source_of(bundle: Path) -> str:
    """Return the text of the bundle's code and its packages, without sample data."""
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and "data" not in path.relative_to(bundle).parts
        and path.stat().st_size < _LONGEST_FILE
    )
