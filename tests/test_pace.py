"""Refusals: at once to whoever waits as he was told; so many a second, all together, to those who do not."""

from service.line import Line
from service.pace import Pace

A_SECOND, LEAST, MOST = 250, 1, 5


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
        assert pace.refuse(line) == (0, LEAST)
        clock.now += LEAST


def test_any_number_of_clients_is_refused_at_once_the_first_time():
    pace = Pace(Clock())
    assert {pace.refuse(Line())[0] for _ in range(5000)} == {0}


def test_clients_are_told_to_come_back_when_there_is_time_for_them():
    clock = Clock()
    pace = Pace(clock)
    told = [pace.refuse(Line())[1] for _ in range(1000)]
    assert [told[number] for number in (0, 240, 260, 510, 990)] == [1, 1, 2, 3, 4]
    assert {pace.refuse(Line())[1] for _ in range(5000)} == {MOST}
    clock.now += MOST
    assert pace.refuse(Line())[1] == LEAST


def test_a_crowd_that_waits_as_it_is_told_is_no_more_than_there_is_time_for():
    clock = Clock()
    pace = Pace(clock)
    due = {Line(): clock.now + number / 500 for number in range(750)}
    refused = []
    while clock.now < 160:
        line = min(due, key=due.__getitem__)
        clock.now = due[line]
        held, told = pace.refuse(line)
        assert held == 0
        refused.append(clock.now)
        due[line] = clock.now + told
    assert sum(moment >= 110 for moment in refused) <= 50 * A_SECOND


def test_those_who_come_back_at_once_go_in_turn_and_nobody_is_held_for_longer_than_the_most_that_is_asked_for():
    clock = Clock()
    pace = Pace(clock)
    lines = [Line() for _ in range(250)]
    for line in lines:
        pace.refuse(line)
    clock.now += 0.9
    held = [pace.refuse(line)[0] for line in lines]
    assert held == sorted(held)
    assert abs(held[-1] - (len(lines) / A_SECOND + 0.1)) < 0.01
    crowd = [Line() for _ in range(5000)]
    for line in crowd:
        pace.refuse(line)
    assert max(pace.refuse(line)[0] for line in crowd) <= MOST + 1e-6


def test_who_was_held_is_told_to_come_back_later_still():
    clock, line = Clock(), Line()
    pace = Pace(clock)
    pace.refuse(line)
    held, told = pace.refuse(line)
    assert held > 0
    clock.now += held + told
    assert pace.refuse(line) == (0, LEAST)


def test_a_flood_that_does_not_wait_holds_back_nobody_else():
    clock = Clock()
    pace = Pace(clock)
    lines = [Line() for _ in range(2000)]
    for line in lines * 2:
        pace.refuse(line)
    assert pace.refuse(Line())[0] == 0
