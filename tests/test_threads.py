"""The number of threads follows what else the machine has to do, and stays where it was set."""

import pytest
import torch

from course_utils import threads


@pytest.fixture
def rates(monkeypatch):
    """Layers per second by number of threads, on a machine of four cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_known", {})
    before, found = torch.get_num_threads(), {}
    torch.set_num_threads(4)  # what PyTorch begins with there
    monkeypatch.setattr(threads, "_rate", lambda number: found[number])
    yield found
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("measured", "chosen"),
    [
        ({4: 30, 3: 25, 2: 18, 1: 10}, 4),  # idle
        ({4: 3, 3: 22, 2: 18, 1: 10}, 3),  # one core is taken
        ({4: 2, 3: 3, 2: 4, 1: 10}, 1),  # all but one
        ({4: 29, 3: 30, 2: 18, 1: 10}, 4),  # no clear difference
    ],
)
def test_the_fastest_number_of_threads_is_taken(rates, measured, chosen):
    rates.update(measured)
    assert threads.choose_threads() == chosen == torch.get_num_threads()


def test_a_number_that_the_reader_has_set_stays(rates, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    assert threads.choose_threads() == 2  # and nothing is tried: there are no rates


@pytest.mark.parametrize("already_chosen", [False, True])
def test_a_number_that_was_set_in_pytorch_stays(rates, already_chosen):
    """A benchmark that measures one thread, say, trains on one."""
    rates.update({4: 30, 3: 25, 2: 18, 1: 10})
    if already_chosen:
        assert threads.choose_threads() == 4
    torch.set_num_threads(1)
    assert threads.choose_threads() == threads.choose_threads() == 1


def test_what_was_chosen_is_chosen_anew(rates):
    rates.update({4: 3, 3: 22, 2: 18, 1: 10})
    assert threads.choose_threads() == 3
    rates[4] = 30  # the other program has gone
    assert threads.choose_threads() == 4


@pytest.mark.parametrize(
    ("given", "chosen"), [("1,4", 2), (" 2 ", 2), ("many", 3), ("0", 3), ("-1", 3), ("", 3)]
)
def test_what_openmp_passes_over_is_no_number_that_was_set(rates, monkeypatch, given, chosen):
    """It takes all cores then, however many others keep busy: as if nothing were set."""
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    rates.update({4: 3, 3: 22, 2: 18, 1: 10})
    torch.set_num_threads(2 if chosen == 2 else 4)  # as PyTorch reads it
    assert threads.choose_threads() == chosen


def test_the_cores_that_are_counted_are_ours(monkeypatch):
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert threads._cores() == 2
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert threads._cores() == 8  # twins of a core calculate no faster


def test_trying_is_quick_and_changes_no_random_number():
    state = torch.get_rng_state()
    assert threads._rate(1) > 0
    assert torch.equal(torch.get_rng_state(), state)


class Machine:
    """A clock, and how long a step takes with the threads that were chosen."""

    def __init__(self):
        self.now, self.step, self.chosen_at = 0.0, 0.1, []

    def choose(self):
        self.chosen_at.append(self.now)
        return 1

    def run(self, watch, seconds):
        end = self.now + seconds
        while self.now < end:
            self.now += self.step
            watch.after_step()


def test_threads_are_chosen_again_when_steps_become_slow_and_until_they_are_not():
    machine = Machine()
    watch = threads.StepWatch(machine.choose, lambda: machine.now)
    machine.run(watch, 60)
    assert machine.chosen_at == [0]  # all is well
    machine.step = 0.3  # another program has come
    machine.run(watch, 3)
    assert len(machine.chosen_at) == 2
    machine.step = 0.15  # fewer threads: better, not as good as alone
    machine.run(watch, 65)
    assert len(machine.chosen_at) == 2 + 3  # a look every 20 seconds
    machine.step = 0.1
    machine.run(watch, 100)
    assert len(machine.chosen_at) == 5


def test_a_pause_between_two_steps_is_no_reason_to_look():
    machine = Machine()
    watch = threads.StepWatch(machine.choose, lambda: machine.now)
    for _ in range(30):
        machine.run(watch, 2)
        machine.now += 5  # a sample grid
    assert machine.chosen_at == [0]
