"""Text from outside, made safe to store in PostgreSQL."""


def storable(text: str) -> str:
    """Return ``text`` for PostgreSQL: without NULs, and with lone surrogates as ``?``."""
    return text.replace("\0", "").encode(errors="replace").decode()
