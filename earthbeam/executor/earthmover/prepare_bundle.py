"""Child process: install a bundle's packages, and describe how it reads its input.

    python -I prepare_bundle.py EARTHMOVER_YAML DESCRIPTION_JSON

Bundles are untrusted code, so this runs apart from the executor, with earthmover's own loader. For
the description see ``BundleDescription`` in transform.py.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from earthmover.__main__ import logger
from earthmover.earthmover import Earthmover
from earthmover.yaml_parser import JinjaEnvironmentYamlLoader

_INPUT_KEYS = ("file", "type", "header_rows", "encoding", "columns", "rename_cols")


def main() -> None:
    config_file, description_file = sys.argv[1:]
    logger.setLevel(logging.INFO)
    earthmover = Earthmover(config_file, logger, skip_hashing=True)
    if _names_packages(earthmover):
        logger.info("installing packages...")
        earthmover.deps()
    earthmover.compile()
    source = earthmover.user_configs["sources"].get("input", {})
    description = {
        "input": {key: source[key] for key in _INPUT_KEYS if key in source},
        "parameters": {key: str(value) for key, value in earthmover.params.items()},
    }
    Path(description_file).write_text(json.dumps(description))


def _names_packages(earthmover: Any) -> bool:
    config = JinjaEnvironmentYamlLoader.load_config_file(
        earthmover.config_file, params=earthmover.params, macros=earthmover.macros
    )
    return bool(config.get("packages"))


if __name__ == "__main__":
    main()
