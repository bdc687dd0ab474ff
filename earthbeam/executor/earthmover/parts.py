"""Process a large file in parts, in as many forks as there are cores, with the results in order.

Memory follows the parts in work, not the file. Programs that run at the same time share the cores.
Imported by programs that cannot import any other of our code.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PART_BYTES = 4 * 1024 * 1024
"""The size of a part of the input. Smaller files are processed whole."""

PROGRESS = "\x1eprogress "
"""The beginning of a line that reports how many rows were done since the last one."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class PartFailed(Exception):
    """A fork did not succeed. ``exit_code`` is negative for the signal that ended it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"a part ended with {exit_code}")
        self.exit_code = exit_code


class Cores:
    """The cores that processes with a common parent share: a pipe with one byte for each free one.

    Create it before forking. A process that dies with a core takes it along.
    """

    def __init__(self, number: int) -> None:
        self._free, self._returned = os.pipe()
        os.set_blocking(self._free, False)
        os.write(self._returned, b"\0" * number)

    def take(self, *, wait: bool) -> bool:
        """Take a core, and return whether one was free. With ``wait``, one is."""
        while True:
            with suppress(BlockingIOError):  # another process was faster
                return bool(os.read(self._free, 1))
            if not wait:
                return False
            select.select([self._free], [], [])

    def give_back(self) -> None:
        os.write(self._returned, b"\0")

    def close(self) -> None:
        os.close(self._free)
        os.close(self._returned)


@dataclass(frozen=True)
class _Part:
    pid: int
    folder: Path
    rows: int


def split(file: Path, head_rows: int, size: int = PART_BYTES) -> Iterator[list[bytes]]:
    """Yield the lines of a delimited file in parts of about ``size`` bytes, each with its head.

    The head is the first ``head_rows`` rows. A row with line breaks in quotes stays whole.
    """
    with file.open("rb") as lines:
        rows = _rows(lines)
        head = [next(rows, b"") for _ in range(head_rows)]
        part, length = list(head), 0
        for row in rows:
            part.append(row)
            length += len(row)
            if length >= size:
                yield part
                part, length = list(head), 0
        if length:
            yield part


def _rows(lines: BinaryIO) -> Iterator[bytes]:
    row = b""
    for line in lines:
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def process(
    parts: Iterator[list[bytes]],
    name: str,
    make: Callable[[Path, Path], None],
    target: Path,
    cores: Cores,
    done: Callable[[int], None] = lambda lines: None,
) -> None:
    """Call ``make`` with each part's file and an output folder, each in a fork with its own core.

    Part files are called ``name``. The files that ``make`` leaves in its folder are appended to
    those in ``target``, in the order of the parts. Then ``done`` is called with the number of the
    part's rows, including its head. Raises PartFailed if a fork does not succeed.
    """

    def collect() -> None:
        part = running.popleft()
        try:
            _collect(part, target)
        finally:
            cores.give_back()
        done(part.rows)

    running: deque[_Part] = deque()
    with tempfile.TemporaryDirectory(prefix="parts-") as scratch:
        try:
            for number, part in enumerate(parts):
                # Never waits while it holds cores, since others might wait for those.
                while not cores.take(wait=not running):
                    collect()
                try:
                    folder = Path(scratch, str(number))
                    folder.mkdir()
                    running.append(_start(part, folder, name, make))
                except OSError:
                    cores.give_back()
                    raise
            while running:
                collect()
        finally:
            for each in running:
                os.kill(each.pid, signal.SIGKILL)
                os.waitpid(each.pid, 0)
                cores.give_back()


def _start(part: list[bytes], folder: Path, name: str, make: Callable[[Path, Path], None]) -> _Part:
    rows = len(part)

    def run() -> None:
        file, output = folder / "input" / name, folder / "output"
        file.parent.mkdir()
        output.mkdir()
        with file.open("wb") as lines:
            lines.writelines(part)
        part.clear()
        make(file, output)
        shutil.rmtree(file.parent)

    return _Part(fork(run), folder, rows)


def _collect(part: _Part, target: Path) -> None:
    exit_code = os.waitstatus_to_exitcode(os.waitpid(part.pid, 0)[1])
    if exit_code:
        raise PartFailed(exit_code)
    for made in sorted((part.folder / "output").iterdir()):
        with made.open("rb") as lines, (target / made.name).open("ab") as file:
            shutil.copyfileobj(lines, file, 1024 * 1024)
    shutil.rmtree(part.folder)


def fork(run: Callable[[], None]) -> int:
    """Fork a child that calls ``run``, and return its process ID.

    The child ends with its parent. Its exit status is that of an interpreter that calls ``run``.
    """
    sys.stdout.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _die_with(parent)
        run()
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does at its top
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies, or now if it has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
