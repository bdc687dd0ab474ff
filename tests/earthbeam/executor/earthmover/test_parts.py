"""A file in parts: every row once, in order, whatever it contains; and faults of the forks."""

import csv
import io
import os
import signal
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.executor.earthmover import parts

CELLS = st.text(alphabet=st.sampled_from('ab"\n\r,;ñ '), max_size=6)


@given(st.data(), st.integers(1, 3), st.integers(1, 60))
def test_parts_have_every_row_once_under_the_head(tmp_path_factory, data, head_rows, size):
    width = data.draw(st.integers(1, 3))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=head_rows))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    file = tmp_path_factory.mktemp("parts") / "rows.csv"
    file.write_bytes(text.getvalue().encode())
    head, rest = rows[:head_rows], []
    for part in parts.split(file, head_rows, size):
        read = list(csv.reader(io.StringIO(b"".join(part).decode(), newline="")))
        assert read[:head_rows] == head
        assert len(read) > head_rows
        rest += read[head_rows:]
    assert rest == rows[head_rows:]


def numbered(count):
    return iter([[b"head\n", b"%d\n" % number] for number in range(count)])


def copy(file, output):
    number = int(file.read_bytes().split()[1])
    time.sleep(0.02 * (number % 3))  # later parts are done first
    (output / "made.jsonl").write_bytes(file.read_bytes().removeprefix(b"head\n"))


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_what_forks_make_is_in_the_order_of_the_parts(tmp_path, cores):
    done: list[int] = []
    parts.process(numbered(9), "in.csv", copy, tmp_path, parts.Cores(cores), done.append)
    assert done == [2] * 9
    assert (tmp_path / "made.jsonl").read_text().split() == [str(number) for number in range(9)]


def fails_at(number, how):
    def make(file, output):
        if file.read_bytes().split()[1] == b"%d" % number:
            how()
        time.sleep(0.05)
        copy(file, output)

    return make


@pytest.mark.parametrize(
    ("how", "exit_code"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
        (lambda: os._exit(7), 7),
        (lambda: 1 / 0, 1),
    ],
    ids=["killed", "exit status", "exception"],
)
def test_a_part_that_fails_ends_the_others_and_leaves_nothing(
    tmp_path, monkeypatch, how, exit_code
):
    target, scratch = tmp_path / "target", tmp_path / "scratch"
    target.mkdir()
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    cores = parts.Cores(3)
    before = set(psutil.Process().children())
    with pytest.raises(parts.PartFailed) as failed:
        parts.process(numbered(9), "in.csv", fails_at(4, how), target, cores)
    assert failed.value.exit_code == exit_code
    assert list(scratch.iterdir()) == []
    assert set(psutil.Process().children()) <= before
    assert [cores.take(wait=False) for _ in range(4)] == [True] * 3 + [False]


def test_programs_that_run_at_the_same_time_share_the_cores_and_never_wait_for_each_other(tmp_path):
    cores, busy = parts.Cores(2), tmp_path / "busy"
    busy.mkdir()

    def make(file, output):
        own = busy / str(os.getpid())
        own.touch()
        time.sleep(0.01)
        (output / "made.jsonl").write_text(f"{len(list(busy.iterdir()))}\n")
        own.unlink()

    def program(number):
        target = tmp_path / str(number)
        target.mkdir()
        return parts.fork(lambda: parts.process(numbered(20), "in.csv", make, target, cores))

    programs = [program(number) for number in range(3)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in programs] == [0, 0, 0]
    at_once = [int(line) for n in range(3) for line in (tmp_path / str(n) / "made.jsonl").open()]
    assert len(at_once) == 60
    assert set(at_once) <= {1, 2}
