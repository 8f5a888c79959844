"""The checkers of chapters 6, 7 and 8: each passes the solution and refuses likely mistakes."""

import re
from itertools import pairwise
from math import log

import pytest
import torch

from course_utils.metrics import (
    extractor,
    frechet_distance,
    kernel_distance,
    precision_recall,
    two_sample_test,
)
from course_utils.sampling import DDIMScheduler, initial_noise
from tests.test_exercises import functions, made, run, spoiled
from tests.test_notebooks import CHAPTERS, cells, text
from tests.trainer import network


@pytest.mark.parametrize("chapter", ["06", "07", "08"])
def test_a_chapter_has_an_exercise_from_memory(chapter):
    path = next(path for path in CHAPTERS if path.stem.startswith(chapter))
    told = "\n".join(text(cell) for cell in cells(path, "markdown"))
    assert re.search(r"^### Build: from memory, ", told, re.M)


# Chapter 6

BY_HEART = functions("06", "solution-5")


def check_distances(source):
    given = {"frechet_distance": frechet_distance, "kernel_distance": kernel_distance}
    check = run("06", "exercise-5-check", **given)["check_distances"]
    check(made(source, "frechet"), made(source, "by_kernel"))


def test_chapter_6_takes_the_two_distances():
    check_distances(BY_HEART)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("a.mean(0) - b.mean(0)", "0 * a.mean(0)", "frechet: .* moved"),
        (".square().sum()", ".abs().sum()", "frechet: .* moved"),
        (" + cov_b.trace()", "", "frechet: .* moved"),
        ("2 * roots.sum()", "roots.sum()", "frechet: .* moved"),
        ("cov_a @ cov_b", "cov_a * cov_b", "frechet: "),
        ("return gap +", "gap +", "frechet: return the distance"),
        (" - pairs.trace()", "", "by_kernel: .* moved"),
        ("len(x) * (len(x) - 1)", "len(x) ** 2", "by_kernel: .* moved"),
        ("/ x.shape[1] ", "", "by_kernel: .* moved"),
        ("+ 1) ** 3", ") ** 3", "by_kernel: .* moved"),
        ("2 * cubic(a, b)", "cubic(a, b)", "by_kernel: .* moved"),
    ],
)
def test_chapter_6_refuses_a_distance_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        check_distances(spoiled(BY_HEART, old, new))


class Real:
    """Pictures of two kinds of stripes, for the exercises on measures."""

    def batch(self, rows):
        rows = torch.as_tensor(rows)
        chance = torch.Generator().manual_seed(0)
        images = torch.rand(max(rows) + 1, 3, 16, 16, generator=chance) * 2 - 1
        return images[rows], rows % 2


def check_cheat(make):
    given = {"real": Real(), "size": 80, "eye": extractor("sprites-16")}
    run("06", "exercise-3-check", precision_recall=precision_recall, **given)["check_cheat"](make)


def test_chapter_6_takes_a_cheat():
    check_cheat(made(functions("06", "solution-3"), "cheat", eye=extractor("sprites-16")))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda given: given, "recall is|precision is"),
        (lambda given: given[:4], "give N pictures"),
        (lambda given: None, "return the pictures"),
        (lambda given: torch.zeros_like(given) + 1, "precision is"),
    ],
)
def test_chapter_6_refuses_what_is_no_cheat(make, says):
    with pytest.raises(AssertionError, match=says):
        check_cheat(make)


class Eye:
    """An extractor made of a function."""

    def __init__(self, look, name="mine@1"):
        self.look, self.name = look, name

    def __call__(self, images):
        return self.look(images)


def check_columns(by):
    """Against pictures that are bright on the left, some of them moved."""
    x = Real().batch(range(1000))[0] / 4
    x[..., :8] += 0.5
    moved = x[500:].roll(1, dims=-1)
    given = {"x": x[500:], "faults": {"moved": moved}, "count": 500}
    real = type("Given", (), {"batch": lambda self, rows: (x[:500], None)})()
    course = type("Course", (), {"budget": "laptop"})
    check = run("06", "exercise-4-check", two_sample_test=two_sample_test, real=real,
                course=course, **given)["check_columns"]  # fmt: skip
    check(by)


def test_chapter_6_takes_columns():
    check_columns(Eye(lambda images: images.mean(dim=(1, 2))))


@pytest.mark.parametrize(
    ("by", "says"),
    [
        (Eye(lambda images: images.mean(dim=(1, 3))), "not seen yet"),  # rows: a move stays
        (Eye(lambda images: images.mean(dim=(2, 3))), "not seen yet"),
        (Eye(lambda images: images.flatten(1)), "768 numbers: at most 16"),
        (Eye(lambda images: images.mean(dim=1)), "one row a picture"),
        (Eye(lambda images: images.mean(dim=(1, 2)), ""), "a name"),
    ],
)
def test_chapter_6_refuses_an_extractor_that_sees_no_move(by, says):
    with pytest.raises(AssertionError, match=says):
        check_columns(by)


# Chapter 7


def chapter_7():
    model = network(norm_num_groups=4, num_class_embeds=6).eval()
    torch.manual_seed(1)
    x_t, t, wanted = torch.randn(4, 1, 8, 8), torch.tensor(300), torch.full((4,), 2)
    with torch.inference_mode():
        told, not_told = (model(x_t, t, class_labels=torch.full((4,), k)).sample for k in (2, 5))
    art = type("Art", (), {"model": model, "no_label": 5})
    given = {"x_t": x_t, "t": t, "wanted": wanted, "told": told, "not_told": not_told}
    return run("07", "exercise-2-check", art=art, **given)["check_guide"]


GUIDE = functions("07", "solution-2")


def test_chapter_7_takes_guidance_in_either_order_of_the_halves():
    chapter_7()(made(GUIDE, "guide"))
    turned = GUIDE.replace("[labels, nothing]", "[nothing, labels]")
    turned = turned.replace("told, not_told = both", "not_told, told = both")
    chapter_7()(made(turned, "guide"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("told, not_told = both", "not_told, told = both", "halves swapped"),
        ("return not_told + scale", "return told + scale", "from no label"),
        ("scale *", "3 *", r"scale 0\.5: off by"),
        ("torch.cat([labels, nothing])", "torch.cat([labels, labels])", r"scale 3\.0: off by"),
        ("torch.full_like(labels, no_label)", "0 * labels", r"scale 3\.0: off by"),
        ("torch.cat([x, x])", "torch.cat([x, 0 * x])", r"scale 3\.0: off by"),
        ("return not_told", "not_told", "return the answer"),
    ],
)
def test_chapter_7_refuses_guidance_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        chapter_7()(made(spoiled(GUIDE, old, new), "guide"))


def test_chapter_7_counts_the_calls():
    def twice(model, x, t, labels, no_label, scale):
        told = model(x, t, class_labels=labels).sample
        other = model(x, t, class_labels=torch.full_like(labels, no_label)).sample
        return other + scale * (told - other)

    with pytest.raises(AssertionError, match="called 2 times"):
        chapter_7()(twice)


def check_mend(mend):
    torch.manual_seed(2)
    model = network(in_channels=3, out_channels=3, sample_size=32, num_class_embeds=3).eval()
    mask = torch.zeros(32, 32)
    mask[:, 16:] = 1
    given = {
        "whole": torch.rand(2, 3, 32, 32) * 2 - 1,
        "families": [0, 1],
        "house": type("House", (), {"model": model}),
        "soft": DDIMScheduler(1000, clip_sample=False, timestep_spacing="trailing"),
        "by_budget": lambda smoke, laptop, full: smoke,
        "right_half": mask,
        "lopsided": lambda x: (x - x.flip(-1)).abs().mean(),
        "initial_noise": initial_noise,
    }
    run("07", "exercise-3-check", **given)["check_mend"](mend)


MEND = functions("07", "solution-3")


def test_chapter_7_takes_a_mended_picture():
    check_mend(made(MEND, "mend"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mask * x + (1 - mask) * known", "(1 - mask) * x + mask * known", "known part off"),
        ("mask * x + (1 - mask) * known", "x", "known part off"),
        ("add_noise(picture, noise, level)", "add_noise(picture, noise, t)", "known part off"),
        (
            "known = scheduler.add_noise(picture, noise, level)",
            "known = picture",
            "known part off",
        ),
        ("mask * x + (1 - mask) * known", "known", "nothing was painted"),
        ("if level >= 0", "if level >= 400", "known part off"),
        ("return x.clamp", "x.clamp", "return the mended"),
    ],
)
def test_chapter_7_refuses_a_picture_that_is_not_mended(old, new, says):
    with pytest.raises(AssertionError, match=says):
        check_mend(made(spoiled(MEND, old, new), "mend"))


# Chapter 8


def chapter_8():
    names = run("08", "ode-guess", "heun-loops", "multi-loop")
    return run("08", "exercise-3-check", "exercise-5-check", **names)


STEPS = {"pairwise": pairwise, "log": log}
IPNDM, TWO_M = functions("08", "solution-3"), functions("08", "solution-5")


def test_chapter_8_takes_both_multistep_solvers():
    chapter = chapter_8()
    chapter["check_ipndm"](made(IPNDM, "ipndm", **STEPS))
    chapter["check_two_m"](made(TWO_M, "two_m", **STEPS))
    chapter["check_two_m"](chapter["multistep"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("(3 * here - before) / 2", "here", "is the old direction used"),
        ("(3 * here - before) / 2", "(here + before) / 2", "is the old direction used"),
        ("before = here\n", "pass\n", "is the old direction used"),
        ("way = here if", "guess(x, a); way = here if", "40 looks in 20 steps"),
        ("(b - a) * way", "(a - b) * way", "the first step is Euler's"),
        ("before = here\n", "before = here if before is None else before\n", "later steps"),
        ("return x", "pass", "return the last x"),
    ],
)
def test_chapter_8_refuses_an_ipndm_that_is_another(old, new, says):
    source = IPNDM + "\n" if old.endswith("\n") else IPNDM
    with pytest.raises(AssertionError, match=says):
        chapter_8()["check_ipndm"](made(spoiled(source, old, new), "ipndm", **STEPS))


def test_chapter_8_knows_ipndm_from_its_own_multistep():
    chapter = chapter_8()
    with pytest.raises(AssertionError, match="is the old direction used"):
        chapter["check_ipndm"](chapter["multistep"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("r = log(last / a) / log(a / b)", "r = 1", "on uneven levels"),
        ("r = log(last / a) / log(a / b)", "r = log(a / b) / log(last / a)", "on uneven levels"),
        ("(2 * r)", "r", "on even levels"),
        ("now + (now - before)", "now - (now - before)", "on even levels"),
        ("before, last = (now, a)", "last = a", "on even levels"),
        ("b / a * x", "a / b * x", "a single step is Euler's"),
        ("now = D = guess(x, a)", "now = D = guess(x, a); guess(x, b)", "looks in"),
        ("return x", "pass", "return the last x"),
    ],
)
def test_chapter_8_refuses_a_two_m_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        chapter_8()["check_two_m"](made(spoiled(TWO_M, old, new), "two_m", **STEPS))


@pytest.mark.parametrize("name", ["euler", "heun"])
def test_chapter_8_knows_2m_from_what_came_before(name):
    chapter = chapter_8()
    with pytest.raises(AssertionError, match=r"on even levels|a single step"):
        chapter["check_two_m"](chapter[name])
