"""What nobody can see in a cell: left behind by spreadsheets, web pages, and exports."""

# Soft hyphen, zero-width characters, marks of writing direction, invisible operators, byte order
# mark. Unicode calls them format characters (Cf).
_UNSEEN = dict.fromkeys(
    (
        *(0xAD, 0x61C, 0x180E, 0xFEFF),
        *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
    )
)


def without_invisible(text: str) -> str:
    """``text`` without white space of any kind around it and without characters of no width."""
    return text.strip() if text.isascii() else text.translate(_UNSEEN).strip()
