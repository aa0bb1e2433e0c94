import pytest
from pydantic import TypeAdapter, ValidationError

from retrieval.compress.prune.schedule import Cubic, Iterative, OneShot, Schedule

PARSER = TypeAdapter(Schedule)


def test_cubic_curve_by_hand() -> None:
    schedule = Cubic(warm_up=0.1, cool_down=0.3, every=10)
    # t_i = 10, T - t_f = 70: sixty steps in which the cut grows.
    assert schedule.remaining(0, 100) == schedule.remaining(10, 100) == 1.0
    assert schedule.remaining(40, 100) == pytest.approx(0.5**3)
    assert schedule.remaining(25, 100) == pytest.approx(0.75**3)
    assert schedule.remaining(70, 100) == schedule.remaining(71, 100) == 0.0


def test_cubic_chooses_every_interval_and_then_every_step() -> None:
    schedule = Cubic(warm_up=0.1, cool_down=0.3, every=10)
    chosen = [done for done in range(101) if schedule.chooses(done, 100)]
    assert chosen == [20, 30, 40, 50, 60, 70, *range(71, 101)]
    assert not any(schedule.holds(done, 100) for done in range(101))


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_cubic_ends_with_the_whole_cut_in_the_shortest_run(total: int) -> None:
    schedule = Cubic()
    curve = [schedule.remaining(done, total) for done in range(total + 1)]
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == 0.0
    assert schedule.chooses(total, total)


def test_iterative_makes_equal_cuts_and_holds_between() -> None:
    schedule = Iterative(cuts=4, first=0.1, last=0.7)
    curve = [schedule.remaining(done, 10) for done in range(11)]
    assert curve == [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0, 0, 0]
    assert [done for done in range(11) if schedule.chooses(done, 10)] == [1, 3, 5, 7]
    assert [done for done in range(11) if schedule.holds(done, 10)] == [2, 4, 6, 8, 9, 10]
    assert schedule.last_choice(10) == 7


def test_one_shot_cuts_once_and_holds() -> None:
    schedule = OneShot(at=0.5)
    assert [schedule.remaining(done, 4) for done in range(5)] == [1, 1, 0, 0, 0]
    assert [done for done in range(5) if schedule.chooses(done, 4)] == [2]
    assert [done for done in range(5) if schedule.holds(done, 4)] == [3, 4]
    assert OneShot().chooses(0, 4)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"kind": "cubic", "warm_up": 0.5, "cool_down": 0.5}, "leave steps to cut in"),
        ({"kind": "iterative", "first": 0.7, "last": 0.7}, "first must be before last"),
        ({"kind": "one_shot", "at": 1.0}, "less than 1"),
        ({"kind": "linear"}, "one_shot"),
    ],
)
def test_impossible_schedules_are_refused(value: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PARSER.validate_python(value)
