"""Invisible characters, which spreadsheets, web pages, and exports leave in cells."""

# Soft hyphen, zero-width characters, direction marks, invisible operators, and byte order mark:
# Unicode's format characters (Cf).
_UNSEEN = dict.fromkeys(
    (
        *(0xAD, 0x61C, 0x180E, 0xFEFF),
        *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
    )
)


def without_invisible(text: str) -> str:
    """Return ``text`` without surrounding white space and without zero-width characters."""
    return text.strip() if text.isascii() else text.translate(_UNSEEN).strip()
