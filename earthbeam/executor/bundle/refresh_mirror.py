"""Child process of a launcher: update a bundle repository's mirror, and print its path.

    python -m earthbeam.executor.bundle.refresh_mirror REPOSITORY BRANCH [COMMIT]

The executor then gets a mirror that it cannot, and need not, write to. Exit status 1 means that it
could not be fetched. The executor then fetches by itself, and reports why that fails.
"""

import sys

from earthbeam.executor.bundle import checkout
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.workspace.folders import Workspace


def main() -> int:
    with Workspace() as workspace:
        try:
            repository, branch, *commit = sys.argv[1:]
            mirror = checkout.refresh_mirror(
                repository, workspace, branch, commit=next(iter(commit), None), pauses=()
            )
        except StepFailed:
            return 1
    sys.stdout.write(str(mirror.path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
