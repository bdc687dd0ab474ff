"""How the rows that a bundle cannot transform are found, with a bundle that only counts."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.executor.held_rows import HeldRow, Search, SetFile, TooMany, find, most_held


class Bundle:
    """Fails with the rows that it is told, by their first cell, and counts its trials."""

    def __init__(self, bad, together=None):
        self.bad, self.together = set(bad), together
        self.trials = self.rows = 0

    def __call__(self, path):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.trials += 1
        self.rows += len(rows)
        if any(row["score"] == "bad" for row in rows):
            return "time data"
        ids = {int(row["id"]) for row in rows}
        fails = ids & self.bad or (self.together and self.together <= ids)
        return "failed" if fails else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


def search(folder, count, bundle, bad_cells=()):
    path = folder / "set.csv"
    lines = ["id,name,score"]
    lines += [f"{n},Name {n},{'bad' if n in bad_cells else n}" for n in range(count)]
    path.write_text("\n".join(lines) + "\n")
    (folder / "trial").mkdir(exist_ok=True)
    return Search(SetFile(path, ",", 1), count, folder / "trial", bundle)


@given(st.data())
def test_exactly_the_rows_that_fail_are_found_wherever_they_are(folder, data):
    count = data.draw(st.integers(2, 60))
    bad = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=min(count - 1, 4)))
    found = search(folder, count, Bundle(bad)).find(20)
    assert set(found) == bad


def test_the_cell_at_fault_is_named(folder):
    found = search(folder, 30, Bundle([]), bad_cells=[17]).find(20)
    assert found == {17: HeldRow("score", "bad", "date")}


def test_a_row_that_no_other_cell_would_help_has_no_cell_at_fault(folder):
    class Always(Bundle):
        def __call__(self, path):
            # The row's first cell and its second are wrong.
            said = super().__call__(path)
            text = path.read_text()
            return said or ("failed" if "Name 9," in text else None)

    found = search(folder, 30, Always([9])).find(20)
    assert found == {9: HeldRow()}


def test_rows_that_fail_together_only_are_not_held(folder):
    assert search(folder, 30, Bundle([], together={3, 25})).find(20) == {}


def test_a_file_of_which_all_rows_fail_is_given_up_after_a_few(folder):
    bundle = Bundle(range(1000))
    with pytest.raises(TooMany) as caught:
        search(folder, 1000, bundle).find(50)
    assert (bundle.trials, len(caught.value.rows)) == (5, 5)


def test_more_rows_than_may_be_held_are_given_up_as_soon_as_that_is_known(folder):
    bundle = Bundle(range(0, 1000, 7))
    with pytest.raises(TooMany) as caught:
        search(folder, 1000, bundle).find(20)
    assert len(caught.value.rows) == 21
    assert bundle.trials < 200


def test_one_bad_row_of_many_costs_about_the_rows_of_the_file_once_more(folder):
    bundle = Bundle([4711])
    assert set(search(folder, 10_000, bundle).find(20)) == {4711}
    assert bundle.rows < 2 * 10_000
    assert bundle.trials < 40


def test_rows_with_the_same_wrong_cell_cost_one_trial_each(folder):
    bad = range(3, 10_000, 40)
    bundle = Bundle([])
    found = search(folder, 10_000, bundle, bad_cells=bad).find(500)
    assert set(found) == set(bad)
    assert bundle.trials < len(bad) + 60
    assert bundle.rows < 4 * 10_000
    named = [row for row, held in found.items() if held.column]
    assert len(named) == 20 and all(found[row].value == "bad" for row in named)


def test_rows_that_only_look_like_a_failing_one_are_not_held(folder):
    class Picky(Bundle):
        def __call__(self, path):
            self.trials += 1
            rows = list(csv.DictReader(path.open(newline="")))
            return (
                "time data" if any(r["score"] == "bad" and int(r["id"]) % 2 for r in rows) else None
            )

    bundle = Picky([])
    cells = [*range(10, 60, 2), 77]
    assert set(search(folder, 400, bundle, bad_cells=cells).find(20)) == {77}
    assert bundle.trials < 40


def test_rows_in_several_lines_and_quotes_are_tried_whole(folder):
    path = folder / "odd.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "score"])
        names = ['a "b"', "two\nlines", 'q"', "", "ü, ö", "two\r\nlines"]
        writer.writerows([n, names[n % 6], n] for n in range(60))
    bundle = Bundle([7, 31, 32])
    found = Search(SetFile(path, ",", 1), 60, folder / "trial", bundle).find(20)
    assert set(found) == {7, 31, 32}


@pytest.mark.parametrize(("rows", "most"), [(1, 20), (60, 20), (400, 20), (1000, 50)])
def test_a_twentieth_of_the_rows_may_be_held_or_twenty(rows, most):
    assert most_held(rows) == most


def test_the_search_of_a_bundle_that_takes_long_ends_in_time_with_what_it_has_found(
    folder, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr("earthbeam.executor.held_rows.time.monotonic", lambda: now[0])
    bad = Bundle([3, 911])

    def slow(path):
        now[0] += 25
        return bad(path)

    path = folder / "set.csv"
    search(folder, 1000, bad)
    with pytest.raises(TooMany) as raised:
        find([(SetFile(path, ",", 1), range(1000))], 1000, folder / "trial", slow, seconds=500)
    assert raised.value.rows == [3]
    assert now[0] <= 525
