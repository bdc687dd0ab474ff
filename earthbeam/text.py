"""Text from outside, made fit for PostgreSQL."""


def storable(text: str) -> str:
    """``text`` without what PostgreSQL cannot hold: NULs go, lone surrogates become ``?``."""
    return text.replace("\0", "").encode(errors="replace").decode()
