"""Which columns of a bundle's input may hold student IDs, read from its earthmover.yaml.

That file is Jinja around YAML, and it is code, so it is never rendered here. Its
``parameter_defaults`` are plain in every bundle. Only those lines are read; anything they leave
open counts as unknown.
"""

import re

import yaml

LONGEST_YAML = 1024 * 1024

_BLOCK = re.compile(r"^([ \t]*)parameter_defaults:[ \t]*(?:#.*)?$", re.MULTILINE)
_JINJA = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SOURCES = re.compile(r"^sources:[^\n]*\n((?:[ \t][^\n]*\n|\n)*)", re.MULTILINE)
_INPUT = re.compile(r"^([ \t]+)input:[^\n]*\n((?:\1[ \t][^\n]*\n|\s*\n)*)", re.MULTILINE)
# A header whose names the bundle replaces by position, or no header at all.
_OTHER_NAMES = re.compile(r"^\s*(?:rename_cols:\s*true|type:\s*['\"]?fixed)", re.I | re.M)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_RAW_INPUT = "$sources.input"


def student_id_columns(earthmover_yaml: str) -> list[str]:
    """Return the columns of the raw input that the bundle's defaults name.

    Empty if they are unknown, or if they are columns of something the bundle derives from its
    input: then the file's own header cannot be checked for them.
    """
    defaults = _parameter_defaults(earthmover_yaml)
    if any(node != _RAW_INPUT for node in defaults.get("EARTHMOVER_NODE_TO_XWALK", [])):
        return []
    sources = _SOURCES.search(_COMMENT.sub("", _JINJA.sub("", earthmover_yaml)) + "\n")
    source = _INPUT.search(sources.group(1)) if sources else None
    if source is None or _OTHER_NAMES.search(source.group(2)):
        return []
    named = ",".join(defaults.get("POSSIBLE_STUDENT_ID_COLUMNS", []))
    if "${" in named or "{{" in named:
        return []
    columns = (name.strip() for name in named.split(","))
    return list(dict.fromkeys(name for name in columns if name))


def _parameter_defaults(text: str) -> dict[str, list[str]]:
    """Return each parameter's defaults. There are several if Jinja would choose between them."""
    found: dict[str, list[str]] = {}
    block = _BLOCK.search(text)
    if block is None:
        return found
    indent, lines = len(block.group(1).expandtabs()), []
    for line in _JINJA.sub("", text[block.end() :]).splitlines():
        content = line.expandtabs().rstrip()
        if content and len(content) - len(content.lstrip()) <= indent:
            break
        lines.append(line)
    try:
        # Nodes, not values: they keep duplicate keys, and construct no objects.
        node = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return found
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
            found.setdefault(key.value, []).append(value.value)
    return found
