"""Text from people that bundles put into their code: which characters it may hold.

earthmover puts a parameter's value into YAML by plain replacement, renders the result as Jinja,
parses it as YAML, and renders many of the resulting texts as Jinja once more. So a value may only
hold characters that none of these gives a meaning, in whatever quotes a bundle happens to use:
between double quotes, a backslash begins any character. The rule is an allow-list, kept by the app
when a job is submitted and by the executor once more.
"""

import unicodedata

SIGNS = "._-/+:"
"""Allowed beside letters, digits and blanks; a colon only before a letter, a digit, or a slash."""

_LETTERS = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd")


def is_letter_or_digit(character: str) -> bool:
    """Whether it is a letter, with its accents, or a digit, of any script."""
    return unicodedata.category(character) in _LETTERS


def problem(value: str) -> str | None:
    """What is wrong with ``value``, to be read after "The value": None if nothing is.

    Names the character. Such a value never ends a quoted text, begins a comment, an escape, an
    expression or a new YAML node; and without two underscores in a row it names none of Python's
    inner workings where a bundle puts it into an expression.
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
    """A character as people can find it: itself in quotation marks, or its name or number."""
    if character.isprintable() and not character.isspace():
        return f"“{character}”"
    name = unicodedata.name(character, "").lower()
    return name or f"the character U+{ord(character):04X}"
