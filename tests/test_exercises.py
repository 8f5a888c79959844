"""The checkers of the exercises: each passes the chapter's solution and refuses likely mistakes."""

import ast
import re
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image, ImageOps
from torch.nn import functional as F

from course_utils.models import IdealDenoiser, ResidualBlock, UNet
from course_utils.sampling import DDIMScheduler
from course_utils.training import TrainingConfig
from tests.test_notebooks import CHAPTERS, cells, text


def run(chapter, *ids, **given):
    """The names that some cells of a chapter define, with what they need."""
    path = next(path for path in CHAPTERS if path.stem.startswith(chapter))
    code = {cell["id"]: text(cell) for cell in cells(path, "code")}
    names = {"torch": torch, "F": F, "SimpleNamespace": SimpleNamespace, **given}
    for name in ids:
        exec(compile(code[name], name, "exec"), names)
    return names


def functions(chapter, name):
    """The functions and classes alone of a cell: nothing is run."""
    path = next(path for path in CHAPTERS if path.stem.startswith(chapter))
    source = next(text(cell) for cell in cells(path, "code") if cell["id"] == name)
    kept = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef | ast.Import)]
    return "\n\n\n".join(ast.unparse(node) for node in kept)


def spoiled(source, old, new):
    """A solution with one thing wrong."""
    assert source.count(old) >= 1, f"{old} is not in the solution"
    return source.replace(old, new)


def made(source, name, **given):
    names = {"torch": torch, "F": F, **given}
    exec(source, names)
    return names[name]


@pytest.mark.parametrize("chapter", ["01", "02", "03", "04", "05", "09"])
def test_a_chapter_has_an_exercise_from_memory(chapter):
    path = next(path for path in CHAPTERS if path.stem.startswith(chapter))
    told = "\n".join(text(cell) for cell in cells(path, "markdown"))
    assert re.search(r"^### Build: from memory, ", told, re.M)


@pytest.mark.parametrize("chapter", ["01", "02", "03"])
def test_what_is_written_from_memory_has_a_cell_before_the_solution(chapter):
    path = next(path for path in CHAPTERS if path.stem.startswith(chapter))
    book = cells(path)
    asked = [k for k, cell in enumerate(book) if text(cell).startswith("### Build: from memory, ")]
    assert asked
    for k in asked:
        place = next(j for j in range(k, len(book)) if book[j]["id"].startswith("solution-"))
        own = book[place - 1]
        assert own["id"] == book[place]["id"].replace("solution-", "exercise-") + "-yours"
        assert re.fullmatch(r"# .*def .*: \.\.\.", text(own))


COSINE = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
CHAPTER_1 = {
    "ids": ("exercise-3-check", "exercise-4-check", "exercise-4-chance", "exercise-4-judge"),
    "better_scheduler": COSINE,
    "DDPMScheduler": diffusers.DDPMScheduler,
}


def chapter_1():
    given = dict(CHAPTER_1)
    return run("01", *given.pop("ids"), **given)


def test_chapter_1_takes_a_guess_that_is_right():
    check = chapter_1()["check_guess"]
    source = functions("01", "solution-3")
    check(made(source, "guess_x0", better_scheduler=COSINE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alphas_cumprod[t]", "alphas_cumprod[400 + 0 * t]"),  # a level that stands in the code
        ("alphas_cumprod[t]", "alphas_cumprod[t[:1]]"),  # one level for all
        ("(1 - share).sqrt() * v", "(1 - share) * v"),
        ("class_labels=labels", "class_labels=0 * labels"),
        ("return", "pass #"),
    ],
)
def test_chapter_1_refuses_a_guess_that_is_wrong(old, new):
    source = spoiled(functions("01", "solution-3"), old, new)
    with pytest.raises(AssertionError):
        chapter_1()["check_guess"](made(source, "guess_x0", better_scheduler=COSINE))


STEP = functions("01", "solution-4")


def test_chapter_1_takes_six_moves():
    check = chapter_1()["check_step"]
    check(made(STEP, "train_step"))
    last = STEP.replace("    optimizer.zero_grad()\n", "").replace(
        "    optimizer.step()\n", "    optimizer.step()\n    optimizer.zero_grad()\n"
    )
    check(made(last, "train_step"))  # cleared after the step, as in the chapter


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("optimizer.zero_grad()", "pass"),
        ("optimizer.step()", "pass"),
        ("torch.randn_like(x0)", "torch.rand_like(x0)"),
        ("torch.randint(count, (len(x0),), device=x0.device)", "torch.tensor(100).expand(len(x0))"),
        ("torch.randint(count,", "torch.randint(50,"),
        ("mse_loss(predicted, noise)", "mse_loss(predicted, x0)"),
        ("network(noisy", "network(x0"),
        ("class_labels=labels", "class_labels=labels.flip(0)"),
        ("return loss.item()", "pass"),
    ],
)
def test_chapter_1_refuses_a_move_that_is_missing_or_wrong(old, new):
    with pytest.raises(AssertionError):
        chapter_1()["check_step"](made(spoiled(STEP, old, new), "train_step"))


LEVELS, NOISE = "torch.randint(count, (len(x0),), device=x0.device)", "torch.randn_like(x0)"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (LEVELS, "torch.randint(200, (len(x0),))", "of 300 levels, by twentieths"),
        (LEVELS, "torch.randint(count * 9 // 10, (len(x0),))", "of 300 levels, by twentieths"),
        (LEVELS, "torch.randint(count - 1, (len(x0),))", "of 20 levels, by twentieths"),
        (LEVELS, "torch.randint(1, count, (len(x0),))", "of 20 levels, by twentieths"),
        (LEVELS, "(torch.rand(len(x0)) ** 2 * count).long()", "of 300 levels, by twentieths"),
        (LEVELS, "torch.randint(-1, count, (len(x0),))", "levels end at 299"),
        (LEVELS, "torch.linspace(0, count - 1, len(x0)).long()", "new levels"),
        (NOISE, "(torch.manual_seed(0), torch.randn_like(x0))[1]", "new levels"),
        (NOISE, "torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))", "new noise"),
        (NOISE, "torch.randn_like(x0[:1]).expand_as(x0)", "new noise"),
        (NOISE, "(torch.rand_like(x0) - 0.5) * 12 ** 0.5", "0.0% beyond 2"),
        (NOISE, "(torch.rand_like(x0) - 0.5).sign()", "0.0% beyond 2"),
    ],
)
def test_chapter_1_refuses_a_step_that_leaves_less_to_chance(old, new, says):
    with pytest.raises(AssertionError, match=says):
        chapter_1()["check_step"](made(spoiled(STEP, old, new), "train_step"))


def chapter_2():
    """What the checker needs of the chapter: its spiral of points, and its walk."""
    names = run("02", "ideal-code")
    names["walk"] = made(functions("02", "ddpm-step"), "walk")
    return run(
        "02",
        "exercise-3-check",
        "exercise-3-run",
        DDIMScheduler=DDIMScheduler,
        IdealDenoiser=IdealDenoiser,
        trailing={"timestep_spacing": "trailing"},
        **{name: names[name] for name in ("walk", "points")},
    )


BY_HEART = functions("02", "solution-3")


def by_heart(source):
    return made(source, "by_heart", pairwise=pairwise)


def test_chapter_2_takes_a_sampler_by_heart():
    chapter_2()["check_walk"](by_heart(BY_HEART))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("else torch.tensor(1.0)", "else shares[0]", "1 steps.*the guess of the picture itself"),
        ("- (1 - share).sqrt() * noise)", "- (1 - share) * noise)", "1 steps"),
        ("/ share.sqrt()", "", "1 steps"),
        ("shares[then]", "shares[now]", "2 steps.*the share that you go to"),
        ("+ (1 - share).sqrt() * noise", "", "2 steps"),
        ("* noise\n    return", "* torch.randn_like(x)\n    return", "2 steps"),
        ("network(x, now)", "(network(x, now), network(x, now))[0]", "looked at"),
        ("timesteps.tolist()", "timesteps.flip(0).tolist()", "looked at"),
        ("    return x", "    pass", "return the picture"),
    ],
)
def test_chapter_2_refuses_a_sampler_that_strays(old, new, says):
    with pytest.raises(AssertionError, match=says):
        chapter_2()["check_walk"](by_heart(spoiled(BY_HEART, old, new)))


def test_chapter_2_refuses_a_walk_that_begins_anew_at_each_step():
    """It stays unseen in one step; the further on, the further astray."""
    anew = spoiled(BY_HEART, "        x0 = (x -", "        x0 = (begin -")
    anew = spoiled(anew, "    for now", "    begin = x\n    for now")
    with pytest.raises(AssertionError, match=r"(2|30) steps"):
        chapter_2()["check_walk"](by_heart(anew))


SPLIT = functions("03", "solution-3")


def test_chapter_3_takes_a_split_that_keeps_copies_together():
    run("03", "exercise-3-check")["check_split"](made(SPLIT, "split"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[*groups, *alone]", "groups[:1]"),  # three are held out where seven fit
        ("[*groups, *alone]", "[*groups]"),
        ("[*groups, *alone]", "alone"),
        ("<= count", "<= count + 1"),
        ("row not in held", "row not in held[1:]"),
        ("[*groups, *alone]", "[[row] for row in range(num_rows)]"),
    ],
)
def test_chapter_3_refuses_a_split_that_tears_leaks_or_leaves_room(old, new):
    with pytest.raises(AssertionError):
        run("03", "exercise-3-check")["check_split"](made(spoiled(SPLIT, old, new), "split"))


def chapter_3():
    def build(channels):
        torch.manual_seed(0)
        return diffusers.UNet2DModel(
            sample_size=16,
            layers_per_block=1,
            block_out_channels=channels,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            norm_num_groups=4,
        )

    def generators(seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    return run(
        "03",
        "exercise-5-check",
        build=build,
        generators=generators,
        DDPMPipeline=diffusers.DDPMPipeline,
        DDPMScheduler=diffusers.DDPMScheduler,
        np=np,
    )


WALK = functions("03", "solution-5")


def test_chapter_3_takes_a_walk_back():
    chapter_3()["check_walk"](made(WALK, "walk_back"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("generator=chance", "generator=chance[0]"),
        (", generator=chance", ""),
        ("manual_seed(seed)", "manual_seed(0)"),
        ("set_timesteps(num_steps)", "set_timesteps(50)"),
        (".prev_sample", ".pred_original_sample"),
    ],
)
def test_chapter_3_refuses_a_walk_that_strays(old, new):
    with pytest.raises(AssertionError):
        chapter_3()["check_walk"](made(spoiled(WALK, old, new), "walk_back"))


def chapter_4():
    return run("04", "exercise-5-check", "exercise-5-judge", Accelerator=Accelerator)


UPDATE = functions("04", "solution-5")


def test_chapter_4_takes_an_update_in_parts():
    chapter_4()["check_update"](made(UPDATE, "update_in_parts"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("accelerator.backward(loss_of(model, batch))", "loss_of(model, batch).backward()"),
        ("if accelerator.sync_gradients", "if True"),  # clips parts
        ("accelerator.clip_grad_norm_(model.parameters(), 1.0)", "pass"),
        ("optimizer.zero_grad()", "pass"),
        ("optimizer.step()", "optimizer.step(); lr_scheduler.step()"),
        ("    lr_scheduler.step()", "    pass"),
    ],
)
def test_chapter_4_refuses_an_update_that_is_another(old, new):
    with pytest.raises(AssertionError):
        chapter_4()["check_update"](made(spoiled(UPDATE, old, new), "update_in_parts"))


RATE = functions("04", "solution-4")


def check_rate():
    """The checker, which compares with diffusers' schedule."""
    plan = diffusers.optimization.get_cosine_schedule_with_warmup
    steps = made(functions("04", "lr-measure"), "step_sizes", get_cosine_schedule_with_warmup=plan)
    given = {"step_sizes": steps, "TrainingConfig": TrainingConfig}
    return run("04", "exercise-4-check", **given)["check_rate"]


def test_chapter_4_takes_a_learning_rate_by_hand():
    check_rate()(made(RATE, "rate_at"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("config.num_steps", "300", "200 updates"),  # each right for one configuration
        ("config.num_warmup_steps", "60", "200 updates"),
        ("config.learning_rate", "0.001", "200 updates"),
        ("peak * step / warmup", "peak * (step + 1) / warmup", "at step 0"),
        ("- warmup) / (config.num_steps - warmup)", ") / config.num_steps", "at step"),
        (" / 2", "", "at step"),
        ("math.pi * u", "math.pi * u / 2", "at step"),
        ("    return peak * (1", "    peak * (1", "return the step size"),
    ],
)
def test_chapter_4_refuses_a_learning_rate_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        check_rate()(made(spoiled(RATE, old, new), "rate_at"))


def chapter_5(*ids):
    return run("05", *ids, ResidualBlock=ResidualBlock)


BLOCK, ATTEND = functions("05", "solution-5"), functions("05", "solution-4")


def test_chapter_5_takes_a_block_and_an_attention_by_heart():
    chapter_5("exercise-5-check")["check_forward"](made(BLOCK, "forward"))
    chapter_5("exercise-4-check")["check_attend"](made(ATTEND, "attend"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("block.time(F.silu(time))", "block.time(time)"),
        ("hidden + block.shortcut(x)", "hidden"),
        ("hidden + block.shortcut(x)", "hidden + x if x.shape == hidden.shape else hidden"),
        ("block.norm2(block.conv2(hidden))", "block.conv2(hidden)"),
        ("F.silu(block.norm1(block.conv1(x)))", "block.norm1(block.conv1(x))"),
    ],
)
def test_chapter_5_refuses_a_block_that_is_another(old, new):
    with pytest.raises(AssertionError):
        chapter_5("exercise-5-check")["check_forward"](made(spoiled(BLOCK, old, new), "forward"))


def test_chapter_5_refuses_a_call_of_the_block_itself():
    with pytest.raises(TypeError):
        chapter_5("exercise-5-check")["check_forward"](lambda block, x, time: block(x, time))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" / q.shape[-1] ** 0.5", ""),
        ("scores - scores.amax(dim=-1, keepdim=True)", "scores"),
        ("weights.sum(dim=-1, keepdim=True)", "weights.sum(dim=-2, keepdim=True)"),
    ],
)
def test_chapter_5_refuses_an_attention_that_is_another(old, new):
    with pytest.raises(AssertionError):
        chapter_5("exercise-4-check")["check_attend"](made(spoiled(ATTEND, old, new), "attend"))


WAY_UP = functions("05", "solution-2")


def check_way_up():
    given = {"UNet": UNet, "image_size": 16}
    return run("05", "skip-room", "exercise-2-check", **given)["check_way_up"]


def test_chapter_5_takes_a_way_up_that_uses_all():
    check_way_up()(made(WAY_UP, "whole"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("level.grow(level.attention(x))", "level.grow(x)", "another map"),
        ("skips.pop()", "skips.pop(-2 if len(skips) % 2 == 0 else -1)", "another map"),
        ("    return x", "    skips.append(x); return x", "never used"),
        ("    return x", "    return x[..., ::2, ::2]", "it ends at"),
        ("    return x", "    pass", "return the map"),
    ],
)
def test_chapter_5_refuses_a_way_up_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        check_way_up()(made(spoiled(WAY_UP, old, new), "whole"))


COPIED = functions("09", "solution-3")


def test_chapter_9_takes_a_copy_score_by_heart():
    run("09", "exercise-3-check")["check_copied"](made(COPIED, "copied"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("to_learned < to_unseen", "to_learned > to_unseen", "9 of 12"),
        ("to_learned < to_unseen", "to_learned <= to_unseen", "as near to both"),
        ("share * (1 - share) / len(images)", "share / len(images)", "the error is"),
        ("(1 - share) / len(images)", "(1 - share) / len(learned) ** 2", "the error is"),
        (").min(dim=1)", ").max(dim=1)", "of 12 are copies"),
        ("len(learned) != len(unseen)", "False", "must be refused"),
        ("return (", "(", "return the share"),
    ],
)
def test_chapter_9_refuses_a_copy_score_that_is_another(old, new, says):
    with pytest.raises(AssertionError, match=says):
        run("09", "exercise-3-check")["check_copied"](made(spoiled(COPIED, old, new), "copied"))


GIVEN_9 = {"np": np, "Image": Image, "ImageOps": ImageOps, "Path": Path, "tempfile": tempfile}
WITHOUT = functions("09", "solution-4")


def check_without():
    return run("09", "exercise-4-make", "exercise-4-check", **GIVEN_9)["check_without_traces"]


def test_chapter_9_takes_a_folder_without_traces():
    check_without()(made(WITHOUT, "without_traces", **GIVEN_9))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("ImageOps.exif_transpose(picture)", "picture", "does it lie"),
        (
            "Image.fromarray(np.asarray(upright)).save(target)",
            "shutil.copy(file, target)",
            "no PNG",
        ),
        (
            "Image.fromarray(np.asarray(upright)).save(target)",
            "Image.fromarray(np.asarray(upright)).save(target, exif=upright.getexif())",
            "still says",
        ),
        (".convert('RGB')", ".convert('L')", "mode L"),
        ("file.relative_to(source)", "file.name", "made .'a.png', 'b.png'"),
        ("('.jpg', '.jpeg', '.png')", "('.png',)", "made .'trip/far"),
        ("ImageOps.exif_transpose(picture)", "picture.rotate(-90, expand=True)", "one.png: .*lie"),
        (".with_suffix('.png')", "", "'a.jpg'"),
        (".save(target)", ".save(file)", "the original"),
        ("exif_transpose(picture)", "mirror(ImageOps.exif_transpose(picture))", "pixels"),
    ],
)
def test_chapter_9_refuses_a_folder_with_traces(old, new, says):
    wrong = made(spoiled(WITHOUT, old, new), "without_traces", shutil=shutil, **GIVEN_9)
    with pytest.raises(AssertionError, match=says):
        check_without()(wrong)


def test_chapter_9_refuses_to_turn_every_picture_of_one_kind():
    def turn_all(source, goal):
        for file in source.glob("*/*.png"):
            target = goal / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(file) as picture:
                turned = np.rot90(np.asarray(picture), -1)
            Image.fromarray(turned).save(target)

    with pytest.raises(AssertionError, match=r"made .'trip/one.png'"):
        check_without()(turn_all)
