"""Schedules against closed forms and against diffusers' tables."""

import math

import diffusers
import pytest
import torch
from diffusers.training_utils import compute_snr
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.noise import TARGETS, min_snr_weights, schedules

CASES = [(name, count) for name in schedules.SCHEDULES for count in (2, 200, 1000)]


def close(given, wanted, atol=1e-6, rtol=0.0):
    torch.testing.assert_close(given, wanted, atol=atol, rtol=rtol)


@pytest.mark.parametrize(("name", "count"), CASES)
def test_betas_and_alphas_cumprod_are_diffusers(name, count):
    theirs = diffusers.DDPMScheduler(count, beta_schedule=name)
    betas = schedules.betas(name, count)
    assert betas.dtype == torch.float32
    close(betas, theirs.betas, atol=1e-8)
    close(schedules.alphas_cumprod(betas), theirs.alphas_cumprod)


def test_linear_betas_are_an_arithmetic_sequence():
    wanted = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    close(schedules.betas("linear", 5, beta_start=0.1, beta_end=0.5), wanted, atol=1e-7)


def test_scaled_linear_betas_are_linear_in_the_root():
    wanted = torch.tensor([0.01, 0.04, 0.09, 0.16])
    close(schedules.betas("scaled_linear", 4, beta_start=0.01, beta_end=0.16), wanted, atol=1e-7)


def test_sigmoid_betas_pass_the_middle_half_way():
    betas = schedules.betas("sigmoid", 3, beta_start=0.1, beta_end=0.3)
    edge = 0.2 / (1 + math.exp(6))
    close(betas, torch.tensor([0.1 + edge, 0.2, 0.3 - edge]), atol=1e-7)


def test_cosine_alphas_cumprod_follow_the_cosine():
    count = 1000
    time = torch.arange(1, count + 1, dtype=torch.float64) / count
    f = torch.cos((time + 0.008) / 1.008 * math.pi / 2).square()
    wanted = f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    given = schedules.alphas_cumprod(schedules.betas("squaredcos_cap_v2", count), torch.float64)
    close(given[:-1], wanted[:-1], atol=1e-12, rtol=1e-5)
    assert schedules.betas("squaredcos_cap_v2", count)[-1] == pytest.approx(0.999)


@pytest.mark.parametrize(("count", "left"), [(200, 0.364), (500, 0.080), (1000, 0.006)])
def test_signal_left_at_the_end_of_the_linear_schedule(count, left):
    rate = schedules.signal_rates(schedules.betas("linear", count))[-1].item()
    assert round(rate, 3) == left


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_rates_are_the_sides_of_a_right_triangle_and_keep_their_digits(name):
    betas = schedules.betas(name)
    signal, noise = schedules.signal_rates(betas), schedules.noise_rates(betas)
    close(signal.double().square() + noise.double().square(), torch.ones(1000).double())
    assert signal.dtype == noise.dtype == torch.float32
    # in float32, 1 - ᾱ_0 would be wrong in the fourth digit
    close(noise[0], betas[0].sqrt(), atol=0.0, rtol=1e-6)


def test_snr_is_diffusers():
    betas = schedules.betas()
    theirs = compute_snr(diffusers.DDPMScheduler(), torch.arange(1000))
    close(schedules.snr(betas), theirs, atol=1e-6, rtol=1e-3)  # theirs: float32 at t = 0
    close(schedules.snr(betas)[0], (1 - betas[0]) / betas[0], atol=0.0, rtol=1e-6)


@pytest.mark.parametrize(("name", "count"), CASES)
def test_rescaling_leaves_nothing_at_the_end(name, count):
    before = schedules.betas(name, count)
    after = schedules.rescale_zero_terminal_snr(before)
    theirs = diffusers.DDPMScheduler(count, beta_schedule=name, rescale_betas_zero_snr=True)
    close(schedules.alphas_cumprod(after), theirs.alphas_cumprod, atol=1e-5)
    assert after[-1] == 1
    assert schedules.signal_rates(after)[-1] == schedules.snr(after)[-1] == 0
    close(after[0], before[0], atol=1e-7)
    straight = torch.stack([schedules.signal_rates(b).double() for b in (before, after)])
    stretch = straight[1][:-1] / (straight[0][:-1] - straight[0][-1])
    close(stretch, stretch[0].expand_as(stretch), atol=0.0, rtol=1e-3)


def test_min_snr_weights_written_out():
    ratios = torch.tensor([0.0, 1.0, 5.0, 20.0])
    weights = {kind: min_snr_weights(ratios, kind) for kind in TARGETS}
    close(weights["epsilon"], torch.tensor([1.0, 1.0, 1.0, 0.25]))
    close(weights["sample"], torch.tensor([0.0, 1.0, 5.0, 5.0]))
    close(weights["v_prediction"], torch.tensor([0.0, 1 / 2, 5 / 6, 5 / 21]))
    wanted = [0.0, 1 / 4, 5 / (1 + 5**0.5) ** 2, 5 / (1 + 20**0.5) ** 2]
    close(weights["flow_prediction"], torch.tensor(wanted))
    close(min_snr_weights(ratios, "sample", gamma=10.0)[-1], torch.tensor(10.0))


def test_min_snr_weighs_the_same_error_alike():
    """One wrong guess of the picture costs the same, whatever it is expressed in."""
    betas = schedules.betas()
    signal, noise = schedules.signal_rates(betas).double(), schedules.noise_rates(betas).double()
    ratio, error = schedules.snr(betas), 0.1
    errors = {"sample": error, "epsilon": error * signal / noise, "v_prediction": error / noise}
    costs = [min_snr_weights(ratio, k).double() * e**2 for k, e in errors.items()]
    close(costs[1], costs[0], atol=0.0, rtol=1e-5)
    close(costs[2], costs[0], atol=0.0, rtol=1e-5)
    level = torch.arange(1, 1001).double() / 1000  # the noise rate on the straight path
    ratio = ((1 - level) / level).square()
    flow = min_snr_weights(ratio, "flow_prediction").double() * (error / level) ** 2
    close(flow, min_snr_weights(ratio, "sample").double() * error**2, atol=0.0, rtol=1e-5)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.sampled_from(schedules.SPACINGS), st.integers(1, 1000), st.data())
def test_timesteps_are_diffusers(spacing, count, data):
    steps = data.draw(st.integers(1, count))
    theirs = diffusers.DDPMScheduler(count, timestep_spacing=spacing)
    theirs.set_timesteps(steps)
    ours = schedules.inference_timesteps(spacing, count, steps)
    assert len(ours) == steps
    assert ours.min() >= 0
    assert ours.max() < count
    assert (ours[1:] < ours[:-1]).all()
    # trailing: diffusers sometimes appends a timestep of -1, see below
    assert torch.equal(ours, theirs.timesteps[:steps])


def test_diffusers_trailing_timesteps_can_end_in_minus_one():
    theirs = diffusers.DDPMScheduler(timestep_spacing="trailing")
    theirs.set_timesteps(61)
    assert len(theirs.timesteps) == 62
    assert theirs.timesteps[-1] == -1
    assert schedules.inference_timesteps("trailing", 1000, 61)[-1] == 15


def test_where_the_spacings_start_and_end():
    ends = {s: schedules.inference_timesteps(s, 1000, 50)[[0, -1]] for s in schedules.SPACINGS}
    assert {s: t.tolist() for s, t in ends.items()} == {
        "leading": [980, 0],
        "trailing": [999, 19],
        "linspace": [999, 0],
    }


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: schedules.betas("cosine"), ValueError, "'cosine'.*squaredcos_cap_v2"),
        (lambda: schedules.betas(num_train_timesteps=0), ValueError, "is 0; use at least 1"),
        (lambda: schedules.betas(num_train_timesteps=10.0), TypeError, "10.0.*use an int"),
        (lambda: schedules.betas(beta_start=0.5), ValueError, "0.5.*0.02"),
        (lambda: schedules.betas(beta_end=1.0), ValueError, "1.0.*< 1"),
        (
            lambda: schedules.rescale_zero_terminal_snr(torch.tensor([0.1])),
            ValueError,
            "at least 2",
        ),
        (lambda: min_snr_weights(torch.ones(1), "noise"), ValueError, "'noise'.*epsilon"),
        (lambda: min_snr_weights(torch.ones(1), gamma=0.0), ValueError, "gamma is 0"),
        (lambda: schedules.inference_timesteps("even", 10, 5), ValueError, "'even'.*leading"),
        (lambda: schedules.inference_timesteps("leading", 10, 11), ValueError, "11.*1 to 10"),
        (lambda: schedules.inference_timesteps("leading", 10, 0), ValueError, "is 0; use at least"),
        (lambda: schedules.inference_timesteps("leading", 10, 5.0), TypeError, "5.0.*use an int"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_rates_are_worked_out_in_float64():
    """In float32 the product of a thousand factors, and 1 - ᾱ of small t, would lose digits."""
    betas = schedules.betas("linear")
    exact = torch.cumprod(1 - betas.double(), 0)
    assert torch.equal(schedules.signal_rates(betas), exact.sqrt().float())
    assert torch.equal(schedules.noise_rates(betas), (1 - exact).sqrt().float())
    assert torch.equal(schedules.snr(betas), (exact / (1 - exact)).float())
    root = exact.sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    stretched = 1 - root.square() / torch.cat([torch.ones(1), root[:-1].square()])
    assert torch.equal(schedules.rescale_zero_terminal_snr(betas), stretched.float())


def test_given_betas_are_read_in_float64_and_lie_between():
    third = schedules.given_betas([1 / 3, 0.5], 2)
    assert third.dtype == torch.float32
    assert third[0] == torch.tensor(1 / 3, dtype=torch.float64).float()
    with pytest.raises(ValueError, match=r"^trained_betas\[0\] is 0; betas lie between 0 and 1\.$"):
        schedules.given_betas([0.0, 0.5], 2)


def test_min_snr_takes_any_gamma_above_zero_and_names_what_it_refuses():
    assert min_snr_weights(torch.tensor([4.0]), "sample", gamma=0.5) == 0.5
    with pytest.raises(ValueError, match=r"^prediction_type is 'noise', which is unknown"):
        min_snr_weights(torch.tensor([4.0]), "noise")


def test_a_given_path_ends_at_its_last_timestep():
    assert schedules.given_timesteps([5, 0], 10).tolist() == [5, 0]
    with pytest.raises(ValueError, match=r"timesteps are \[5, -1\]; give one or more of \[0, 10\)"):
        schedules.given_timesteps([5, -1], 10)
    with pytest.raises(ValueError, match=r"\[5, 3, -1\]"):
        schedules.given_timesteps([5, 3, -1], 10)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: schedules.betas("x"), r"^beta_schedule is 'x', which is unknown\. Use one of"),
        (lambda: schedules.betas("linear", 0), r"^num_train_timesteps is 0; use at least 1\.$"),
        (
            lambda: schedules.betas(beta_start=0.0),
            r"is 0\.0 and .* keep 0 < beta_start <= ",
        ),
        (lambda: schedules.betas(beta_end=1.0), r"; they must keep 0 < .* <= beta_end < 1\.$"),
        (lambda: schedules.inference_timesteps("x", 10, 5), r"^timestep_spacing is 'x', which"),
    ],
)
def test_what_is_refused_is_named_as_the_argument_is(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_betas_may_all_be_the_same():
    assert schedules.betas("linear", 3, 0.1, 0.1).tolist() == pytest.approx([0.1] * 3)
