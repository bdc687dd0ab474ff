"""An ODS that asks to wait is left alone for as long as it asks."""

from types import SimpleNamespace

import pytest

from earthbeam.executor.lightbeam import guarded_lightbeam
from earthbeam.executor.lightbeam.guarded_lightbeam import LONGEST_PAUSE, LONGEST_WAIT, Pace


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(guarded_lightbeam, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("status", "headers", "pauses"),
    [
        (429, {"Retry-After": "7"}, [7, 7, 7]),
        (503, {"Retry-After": "7"}, [7, 7, 7]),
        (429, {"Retry-After": "86400"}, [LONGEST_PAUSE] * 3),
        (429, {}, [0.5, 1, 2]),
        (429, {"Retry-After": "Fri, 27 Nov 2026 12:00:00 GMT"}, [0.5, 1, 2]),
    ],
)
def test_the_ods_gets_the_pause_it_asks_for(clock, capsys, status, headers, pauses):
    pace = Pace()
    for pause in pauses:
        assert pace.slow_down(status, headers)
        assert pace.slow_down(status, headers), "on its way since before the pause"
        assert capsys.readouterr().out == f"The ODS asks to wait: {pause:g} s\n"
        clock[0] += pause


@pytest.mark.parametrize("status", [201, 400, 503])
def test_an_answer_without_a_wish_to_wait_is_handed_on(clock, status):
    assert not Pace().slow_down(status, {})


def test_an_ods_that_takes_nothing_for_minutes_is_asked_no_more(clock):
    pace = Pace()
    clock[0] += LONGEST_WAIT - 1
    assert pace.slow_down(429, {})
    clock[0] += 2
    assert not pace.slow_down(429, {})
    assert not pace.slow_down(201, {})
    assert pace.slow_down(429, {}), "it has taken one since"
