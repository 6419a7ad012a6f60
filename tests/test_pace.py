"""Refusals: at once to whoever waits as he was told; so many a second, all together, to those who do not."""

from service.line import Line
from service.pace import Pace

TOLD, A_SECOND = 1.0, 1000


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_who_waits_as_he_was_told_is_never_held():
    clock, line = Clock(), Line()
    pace = Pace(clock)
    for _ in range(5):
        assert pace.held(line) == 0
        clock.now += TOLD


def test_any_number_of_clients_is_refused_at_once_the_first_time():
    pace = Pace(Clock())
    assert {pace.held(Line()) for _ in range(5000)} == {0}


def test_those_who_come_back_at_once_go_in_turn_and_nobody_is_held_longer_than_he_was_to_wait():
    clock = Clock()
    pace = Pace(clock)
    lines = [Line() for _ in range(500)]
    for line in lines:
        pace.held(line)
    clock.now += 0.9
    held = [pace.held(line) for line in lines]
    assert held == sorted(held)
    assert abs(held[-1] - len(lines) / A_SECOND) < 0.01
    crowd = [Line() for _ in range(5000)]
    for line in crowd:
        pace.held(line)
    assert max(pace.held(line) for line in crowd) <= TOLD + 1e-6


def test_a_flood_that_does_not_wait_holds_back_nobody_else():
    clock = Clock()
    pace = Pace(clock)
    lines = [Line() for _ in range(2000)]
    for line in lines * 2:
        pace.held(line)
    assert pace.held(Line()) == 0
