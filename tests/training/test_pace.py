"""Minutes that are kept: the plan of a run, and a clock that runs as the test says."""

import itertools
import json
import math

import pytest
import torch
from diffusers import DDPMScheduler

from course_utils.training import loop
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.pace import Pace, Timekeeper
from tests.trainer import assert_same, network, pictures, settings, short_run


class Machine:
    """A clock, and updates that take the time that a function of the moment says."""

    def __init__(self, each):
        self.now, self.each = 0.0, each

    def clock(self):
        return self.now

    def run(self, minutes, grid_every=200, grid=0.0, first_guess=1_000):
        """Train for so many minutes; what was planned, update by update, and the pace."""
        keeper, pace = Timekeeper(minutes, clock=self.clock), Pace.of(50, first_guess)
        step, plans = 0, []
        while step < pace.num_steps:
            keeper.begin_update()
            self.now += self.each(self.now)
            keeper.end_update()
            step += 1
            self.now += grid if step % grid_every == 0 or step == pace.num_steps else 0.0
            if step < pace.num_steps:
                pace.end_at(keeper.fits(pace, step), step)
            plans.append(pace.num_steps)
        return plans, pace


def test_a_known_length_has_the_rates_of_diffusers():
    from diffusers.optimization import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, 5, 30)
    pace = Pace.of(5, 30)
    for step in range(31):
        assert pace.rate(step) == theirs.get_last_lr()[0]
        optimizer.step()
        theirs.step()


MACHINES = {
    "steady": lambda now: 0.4,
    "ten times slower than the guess": lambda now: 4.0,
    "busy in the middle": lambda now: 1.1 if 300 < now < 700 else 0.35,
    "busy from the second half on": lambda now: 0.3 if now < 600 else 0.9,
    "slow at first": lambda now: 20.0 if now == 0 else 0.3,
    "swinging": lambda now: 0.5 + 0.3 * math.sin(now / 37),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_minutes_are_kept_and_the_rate_falls_to_zero(name):
    machine = Machine(MACHINES[name])
    plans, pace = machine.run(20, grid=8.0)
    assert machine.now / 60 == pytest.approx(20, rel=0.03)
    assert pace.num_steps == len(plans)
    rates = [pace.rate(step) for step in range(50, len(plans))]
    assert all(a >= b for a, b in itertools.pairwise(rates)), "it never rises again"
    assert rates[0] == 1
    assert rates[-1] < 0.001 or len(plans) < 400
    assert pace.rate(len(plans)) == 0


def test_a_steady_machine_is_planned_for_once():
    plans, pace = Machine(lambda now: 0.5).run(10)
    assert len(set(plans)) == 2, "the guess, and what fits"
    assert len(pace.places) == 2, "one straight way to the end"
    assert len(plans) == pytest.approx(1_200, rel=0.03)


def test_what_is_left_of_the_minutes_counts_what_went_before_them():
    keeper = Timekeeper(2, spent=90, clock=lambda: 7.0)
    assert keeper.left() == 30
    assert Timekeeper(None, clock=lambda: 7.0).left() == math.inf


def test_where_the_time_is_over_one_last_update_is_made():
    machine = Machine(lambda now: 100.0)
    plans, _ = machine.run(1)
    assert len(plans) == 5, "four, of which one was timed, and the last"


def test_what_lies_behind_is_not_planned_anew():
    pace = Pace.of(10, 110)
    before = [pace.rate(step) for step in range(61)]
    pace.end_at(80, 60)
    assert [pace.rate(step) for step in range(61)] == before
    assert pace.progress(70) == pytest.approx(0.75)
    assert pace.rate(80) == 0
    assert Pace.kept(json.loads(json.dumps(pace.as_dict()))) == pace


class Ticks:
    """Time that goes on by the same step whenever somebody looks."""

    def __init__(self, each):
        self.now, self.each = 0.0, each

    def monotonic(self):
        self.now += self.each
        return self.now


@pytest.fixture
def ticking(monkeypatch):
    """Every look at the clock takes half a second, of which there are four an update."""
    ticks = Ticks(0.5)
    whole = Timekeeper

    def keeper(minutes, spent=0.0):
        return whole(minutes, 0.0, ticks.monotonic)

    monkeypatch.setattr(loop, "Timekeeper", keeper)


def test_a_run_of_some_minutes_makes_as_many_updates_as_fit(ticking, tmp_path):
    run = short_run(minutes=0.5, num_steps=500, output_dir=str(tmp_path), save_image_steps=0)
    about, tensors = read_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])
    assert 12 <= len(run.losses) <= 25
    assert about["pace"]["num_steps"] == about["step"] == len(tensors["losses"])
    assert about["config"]["num_steps"] == 500, "the guess stays what it was"


def test_a_run_goes_on_by_the_plan_that_its_checkpoint_has(ticking, tmp_path):
    """Cut off, and gone on from without minutes: the same to the last bit."""
    options = {"num_steps": 500, "save_model_steps": 5, "save_image_steps": 0}
    whole = short_run(minutes=0.5, output_dir=str(tmp_path), keep_checkpoints=9, **options)
    kept = checkpoints(tmp_path / "checkpoints")
    plans = {path: read_checkpoint(path)[0]["pace"]["num_steps"] for path in kept}
    start = next(path for path, n in plans.items() if n == len(whole.losses) > int(path.name[-6:]))
    again = short_run(resume=start, output_dir=str(tmp_path), keep_checkpoints=9, **options)
    assert_same(whole, again)


def test_minutes_and_a_kept_run_do_not_go_together():
    from course_utils.training import trained

    with pytest.raises(ValueError, match=r"minutes is 1; a run kept here"):
        trained(settings(minutes=1), network(), DDPMScheduler(), pictures(), progress=False)
