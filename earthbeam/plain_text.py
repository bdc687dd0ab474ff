"""Which characters a text from a person may hold if bundles insert it into their code.

earthmover substitutes a parameter's value into YAML, renders the result as Jinja, parses it as
YAML, and renders many of the resulting texts as Jinja again. So a value may hold only characters
that are harmless to all of these, in whatever quotes a bundle uses; in double quotes, a backslash
can encode any character. The rule is an allow-list. The app applies it when a job is submitted, and
the executor applies it again.
"""

import unicodedata

SIGNS = "._-/+:"
"""Allowed besides letters, digits, and spaces. A colon needs a letter, digit, or slash after it."""

_LETTERS = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd")


def is_letter_or_digit(character: str) -> bool:
    """Whether it is a letter (accents included) or a digit, in any script."""
    return unicodedata.category(character) in _LETTERS


def problem(value: str) -> str | None:
    """Return what is wrong with ``value``, to follow "The value" in a sentence, or None.

    Names the character. A value that passes cannot end a quoted text or begin a comment, an escape,
    an expression, or a new YAML node. Without two underscores in a row it cannot reach Python
    internals in a bundle's expression either.
    """
    for number, character in enumerate(value, start=1):
        if not is_letter_or_digit(character) and character not in f" {SIGNS}":
            return f"contains {named(character)} at position {number}, which is not allowed"
    if not value:
        return None
    if value != value.strip(" "):
        return "begins or ends with a blank"
    if unicodedata.category(value[0])[0] not in "LN":
        return f"begins with {named(value[0])}; it must begin with a letter or a digit"
    if "__" in value:
        return 'contains "__" (two underscores in a row), which is not allowed'
    for number, character in enumerate(value, start=1):
        after = value[number : number + 1]
        if character == ":" and not (after == "/" or (after and is_letter_or_digit(after))):
            return f'contains ":" at position {number} without a letter, digit, or slash after it'
    return None


def named(character: str) -> str:
    """Describe a character so that people can find it: itself in quotes, or its name or number."""
    if character.isprintable() and not character.isspace():
        return f"“{character}”"
    name = unicodedata.name(character, "").lower()
    return name or f"the character U+{ord(character):04X}"
