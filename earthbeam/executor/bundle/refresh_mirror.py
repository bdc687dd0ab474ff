"""Child process of a launcher: brings a bundle repository's mirror up to date, and prints its path.

    python -m earthbeam.executor.bundle.refresh_mirror REPOSITORY BRANCH [COMMIT]

So the executor is given a mirror that it need not, and cannot, write to. Exit status 1: it could
not be fetched. The executor then tries for itself, and reports why that fails.
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
