"""What the page of errata says, proved: each fault shown at work, beside what is right.

The numbers 000 to 004 are those of the source documents on the page ``book/errata.md``.
"""

import ast
import dataclasses
import pickle
import re
from importlib.metadata import distribution
from pathlib import Path

import huggingface_hub
import pytest
import torch
from accelerate import Accelerator
from bs4 import BeautifulSoup
from diffusers import DDPMPipeline, DDPMScheduler
from diffusers.models.embeddings import Timesteps
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.transforms import Resize
from torchvision.utils import make_grid

from course_utils import sampling as schedulers
from course_utils.models import IdealDenoiser
from course_utils.noise import schedules
from tests.conftest import ROOT, extension
from tests.trainer import network


def small_unet(**changes):
    settings = {
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "num_class_embeds": None,
    }
    return network(**(settings | changes)).eval()


def runs(code):
    exec(compile(code, "snippet", "exec"), {})


# ---- 000: UNet2DModel and schedulers on MNIST


TWO_NAMES = """
num_epochs, batches = 3, range(10)
num_steps = {used} * len(batches)
"""
ONLY_PICTURES = """
import torch
pictures = torch.zeros(4, 3, 8, 8)
{drawn}
rows = [(1 - share) * pictures + share * noise for share in (0.0, 0.5, 1.0)]
"""


@pytest.mark.parametrize(
    ("outline", "right", "wrong", "missing"),
    [
        (TWO_NAMES, {"used": "num_epochs"}, {"used": "epochs"}, "epochs"),
        (ONLY_PICTURES, {"drawn": "noise = torch.randn(4, 3, 8, 8)"}, {"drawn": ""}, "noise"),
    ],
    ids=["000", "004"],
)
def test_a_name_that_was_never_given_stops_the_code(outline, right, wrong, missing):
    """000 stores the number of epochs and asks for another name; 004 never draws its noise."""
    runs(outline.format(**right))
    with pytest.raises(NameError, match=f"name '{missing}' is not defined"):
        runs(outline.format(**wrong))


def test_beta_is_the_share_of_one_step_and_not_the_noise_level():
    betas = schedules.betas("linear", 200)
    level = schedules.noise_rates(betas)
    assert betas[-1] == pytest.approx(0.02)
    assert level[-1] == pytest.approx(0.931, abs=1e-3)
    assert (betas[0], level[0]) == (pytest.approx(1e-4), pytest.approx(1e-2))


@pytest.fixture
def picture_and_noise():
    torch.manual_seed(0)
    x0, noise = torch.rand(1, 3, 8, 8) * 2 - 1, torch.randn(1, 3, 8, 8)
    return x0, noise, DDPMScheduler(200, clip_sample=False)


def test_epsilon_is_a_whole_picture_of_noise_and_one_number_is_not_enough(picture_and_noise):
    x0, noise, scheduler = picture_and_noise
    noisy = scheduler.add_noise(x0, noise, torch.tensor([100]))
    whole = scheduler.step(noise, 100, noisy).pred_original_sample
    assert torch.allclose(whole, x0, atol=1e-5)
    level = noise.std().expand_as(noise)  # all that a noise level could say
    assert (scheduler.step(level, 100, noisy).pred_original_sample - x0).abs().max() > 1


def test_sample_prediction_names_the_clean_picture_not_the_noisy_one(picture_and_noise):
    x0, noise, _ = picture_and_noise
    scheduler = DDPMScheduler(200, prediction_type="sample", clip_sample=False)
    noisy = scheduler.add_noise(x0, noise, torch.tensor([0]))
    assert torch.equal(scheduler.step(x0, 0, noisy).prev_sample, x0)
    assert not torch.allclose(scheduler.step(noisy, 0, noisy).prev_sample, x0, atol=1e-3)


# ---- 001: reference of UNet2DModel


@pytest.mark.parametrize("timestep", [0, 1, 500])
def test_the_network_looks_once_whatever_the_timestep(timestep):
    model, looks = small_unet(), []
    model.mid_block.register_forward_hook(lambda *_: looks.append(1))
    model(torch.zeros(1, 3, 8, 8), timestep)
    assert looks == [1]


def test_a_size_that_cannot_be_halved_is_found_out_late_and_obscurely():
    model = small_unet(sample_size=9)  # not a word here
    with pytest.raises(RuntimeError, match="Sizes of tensors must match") as told:
        model(torch.zeros(1, 3, 9, 9), 0)
    assert "sample_size" not in str(told.value)
    assert "divisible" not in str(told.value)


def test_frequency_shift_and_order_belong_to_the_positional_embedding_not_to_fourier():
    x = torch.randn(1, 3, 8, 8)
    for change in ({"freq_shift": 1}, {"flip_sin_to_cos": False}):
        same = {}
        for kind in ("positional", "fourier"):
            one = small_unet(time_embedding_type=kind)(x, 50).sample
            two = small_unet(time_embedding_type=kind, **change)(x, 50).sample
            same[kind] = torch.equal(one, two)
        assert same == {"positional": False, "fourier": True}


def test_class_labels_are_whole_numbers():
    model, x = small_unet(num_class_embeds=10), torch.zeros(1, 3, 8, 8)
    assert model(x, 0, class_labels=torch.tensor([7])).sample.shape == x.shape
    with pytest.raises(RuntimeError, match=r"Long, Int|scalar type"):
        model(x, 0, class_labels=torch.tensor([7.0]))


def test_the_second_kind_of_middle_block_does_not_exist():
    named = small_unet(mid_block_type="UnCLIPUNetMidBlock2D").mid_block
    assert type(named).__name__ == "UNetMidBlock2D"


def test_how_to_shrink_is_a_matter_of_blocks_with_attention():
    attention = {"down_block_types": ("AttnDownBlock2D",) * 2}
    for kinds, changes in (({}, False), (attention, True)):
        conv = small_unet(downsample_type="conv", **kinds).num_parameters()
        resnet = small_unet(downsample_type="resnet", **kinds).num_parameters()
        assert (conv != resnet) == changes


# ---- 002: sprites


def perfect_pipeline(pictures):
    """diffusers' pipeline with a network that knows these pictures perfectly."""
    model = small_unet()
    model.forward = IdealDenoiser(pictures, schedulers.DDPMScheduler(200))
    pipeline = DDPMPipeline(unet=model, scheduler=DDPMScheduler(200))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize(("low", "darkest"), [(-1.0, 0.0), (0.0, 0.5)])
def test_pictures_in_zero_to_one_come_out_washed_out(low, darkest):
    """The pipeline shows x/2 + 1/2: black, learned as 0 and not as -1, comes out grey."""
    black_and_white = torch.ones(1, 3, 8, 8)
    black_and_white[..., :4] = low
    pipeline = perfect_pipeline(black_and_white)
    draw = torch.Generator().manual_seed(0)
    images = pipeline(8, generator=draw, num_inference_steps=20, output_type="np").images
    assert images.min() == pytest.approx(darkest, abs=0.02)
    assert images.max() == pytest.approx(1, abs=0.02)


def test_without_a_generator_no_run_repeats():
    pipeline = perfect_pipeline(torch.rand(20, 3, 8, 8) * 2 - 1)

    def drawn(**options):
        images = pipeline(4, num_inference_steps=20, output_type="np", **options).images
        return torch.from_numpy(images)

    assert not torch.equal(drawn(), drawn())
    with_seed = [drawn(generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*with_seed)


# ---- 003: butterflies


def test_fields_without_types_are_no_fields():
    @dataclasses.dataclass
    class Bare:
        image_size = 128

    @dataclasses.dataclass
    class Typed:
        image_size: int = 128

    with pytest.raises(TypeError, match="unexpected keyword argument 'image_size'"):
        Bare(image_size=64)
    assert dataclasses.asdict(Bare()) == {}
    assert dataclasses.asdict(Typed(image_size=64)) == {"image_size": 64}


@pytest.mark.parametrize("name", ["Repository", "HfFolder"])
def test_classes_that_the_loop_imports_are_gone(name):
    assert not hasattr(huggingface_hub, name)
    with pytest.raises(ImportError):
        runs(f"from huggingface_hub import {name}")


def test_the_command_to_log_in_has_another_name():
    commands = {e.name: e.value for e in distribution("huggingface_hub").entry_points}
    assert "hf" in commands
    assert "deprecated" in commands.get("huggingface-cli", "deprecated")


def test_without_a_token_the_run_ends_before_its_first_step(monkeypatch):
    """Whose account it is, is asked first; pictures are not needed to fail here."""
    monkeypatch.setattr(huggingface_hub.utils._headers, "get_token", lambda: None)
    monkeypatch.setattr(huggingface_hub.hf_api, "get_token", lambda: None)
    with pytest.raises(huggingface_hub.errors.LocalTokenNotFoundError):
        huggingface_hub.whoami()


@pytest.mark.parametrize("push_to_hub", [True, False])
def test_either_uploaded_or_saved_means_that_the_upload_has_no_model(tmp_path, push_to_hub):
    """Their end of an epoch in outline: the grid is written, then one of the two happens."""
    pipeline, uploaded = DDPMPipeline(small_unet(), DDPMScheduler()), []
    (tmp_path / "samples").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "samples" / "0049.png")
    if push_to_hub:
        uploaded = [path.suffix for path in tmp_path.rglob("*.*")]
    else:
        pipeline.save_pretrained(tmp_path)
    saved = list(tmp_path.rglob("*.safetensors"))
    assert len(saved) == (0 if push_to_hub else 1)
    assert uploaded == ([".png"] if push_to_hub else [])


def test_bytes_that_overflow_begin_again_from_the_other_end():
    scaled = ((torch.tensor([1.5, -1.5, 0.5]) + 1) * 127.5).int()
    assert scaled.to(torch.uint8).tolist() == [62, 193, 191]  # nearly white is dark, and back
    assert scaled.clamp(0, 255).to(torch.uint8).tolist() == [255, 0, 191]


def clipped_gradient(parts, every_part):
    """The gradient that an update sees after the parts of a batch, under Accelerate."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=len(parts))
    model = accelerator.prepare(nn.Linear(2, 1, bias=False))
    for part in parts:
        with accelerator.accumulate(model):
            accelerator.backward(len(parts) * model(part).sum())  # whose gradient is the part
            if every_part or accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
    return model.weight.grad[0]


def test_clipping_every_part_of_a_batch_is_not_clipping_the_batch():
    """A first part that is large and a second that is nearly its opposite: 0.5 to the right."""
    parts = [torch.tensor([4.0, 0.0]), torch.tensor([-3.5, 0.0])]
    assert torch.allclose(clipped_gradient(parts, every_part=False), torch.tensor([0.5, 0.0]))
    assert clipped_gradient(parts, every_part=True)[0] == pytest.approx(-1, abs=1e-4)  # and left


def test_a_seed_set_inside_training_brings_the_same_noise_again():
    def noises_between_grids(reseed):
        torch.manual_seed(1)
        found = []
        for _ in range(2):
            if reseed:
                torch.manual_seed(0)  # what drawing a grid does there
            found.append(torch.randn(5))
        return found

    assert torch.equal(*noises_between_grids(reseed=True))
    assert not torch.equal(*noises_between_grids(reseed=False))


def test_resizing_to_a_pair_of_numbers_squeezes_the_picture():
    wide = Image.new("L", (200, 130))
    assert Resize((64, 64))(wide).size == (64, 64)  # a circle is now an ellipse
    assert Resize(64)(wide).size == (98, 64)  # one number keeps the proportions


# ---- 004: flowers


def test_sdpa_is_the_softmax_of_scaled_products():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 10, 32, dtype=torch.float64)
    by_hand = (q @ k.transpose(1, 2) / 32**0.5).softmax(dim=-1) @ v
    assert torch.allclose(nn.functional.scaled_dot_product_attention(q, k, v), by_hand)


class SmallUp(nn.Module):
    """One level of the way up: twice a kept map and a convolution, then larger."""

    def __init__(self, width, out):
        super().__init__()
        self.first = nn.Conv2d(2 * width, width, 3, padding=1)
        self.second = nn.Conv2d(2 * width, width, 3, padding=1)
        self.larger = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, out, 1))

    def begin(self, x, kept):
        return self.first(torch.cat([x, kept.pop()], dim=1))

    def finish(self, x, kept):
        return self.larger(self.second(torch.cat([x, kept.pop()], dim=1)))


def test_a_way_up_of_which_half_is_outside_of_the_loop_cannot_run():
    """Their loop holds the first half of a level only. The next level is then not met."""
    levels = [SmallUp(8, 4), SmallUp(4, 4)]

    def kept_maps():
        return [torch.randn(1, c, s, s) for c, s in ((4, 8), (4, 8), (8, 4), (8, 4))]

    x, kept = torch.randn(1, 8, 4, 4), kept_maps()
    for level in levels:
        x = level.finish(level.begin(x, kept), kept)
    assert x.shape == (1, 4, 16, 16)
    assert kept == []

    kept = kept_maps()
    x = levels[0].begin(torch.randn(1, 8, 4, 4), kept)
    with pytest.raises(RuntimeError, match="to have 8 channels, but got 16 channels"):
        levels[1].begin(x, kept)  # the loop goes on, with the first level unfinished


def test_three_blocks_and_attention_of_another_width_are_no_u_and_do_not_run():
    blocks = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 64), (64, 128))))
    deepest = nn.Conv2d(128, 256, 3, padding=1)(blocks(torch.zeros(1, 1, 64, 64)))
    assert deepest.shape == (1, 256, 64, 64)  # nothing was made smaller, nothing is a picture
    to_queries = nn.Conv2d(128, 3 * 128, 1, bias=False)
    with pytest.raises(RuntimeError, match="to have 128 channels, but got 256 channels"):
        to_queries(deepest)


def test_cosine_betas_cut_off_at_the_linear_top_do_not_end_in_noise():
    cosine = schedules.betas("squaredcos_cap_v2", 1000)
    assert schedules.signal_rates(cosine)[-1] < 1e-3
    assert schedules.signal_rates(cosine.clamp(max=0.02))[-1] == pytest.approx(0.0565, abs=1e-4)


class Surprise:
    """What a pickle may hold: on loading, a call of its maker's choice."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_loading_a_pickle_runs_its_makers_code_and_safetensors_does_not(tmp_path):
    mark, weights = tmp_path / "was_here", {"w": torch.ones(2)}
    torch.save({"w": Surprise(mark)}, tmp_path / "weights.pth")
    with pytest.raises(pickle.UnpicklingError):  # today's default refuses
        torch.load(tmp_path / "weights.pth")
    assert not mark.exists()
    torch.load(tmp_path / "weights.pth", weights_only=False)  # the default of its day
    assert mark.exists()
    with pytest.raises(ValueError, match="Key `w` is invalid"):
        save_file({"w": Surprise(mark)}, tmp_path / "w.safetensors")
    save_file(weights, tmp_path / "w.safetensors")
    assert torch.equal(load_file(tmp_path / "w.safetensors")["w"], weights["w"])


def test_the_second_number_of_a_grid_is_its_padding():
    pictures = torch.rand(16, 3, 4, 4)
    assert torch.equal(make_grid(pictures, 8, 2), make_grid(pictures, nrow=8, padding=2))
    wide = make_grid(pictures[:8], 4, 6)  # meant as four by six
    assert wide.shape == (3, 2 * (4 + 6) + 6, 4 * (4 + 6) + 6)


def test_turning_all_axes_round_lays_the_pictures_on_their_side():
    picture = torch.zeros(3, 4, 4)
    picture[:, 0, :] = 1  # a bright top row
    assert (picture.permute(2, 1, 0)[:, 0] == 1).all()  # now the left column
    assert (picture.permute(1, 2, 0)[0, :] == 1).all()  # rows first, as they should be


def test_the_printed_time_embedding_is_not_the_one_of_the_network():
    t, n = torch.arange(0, 1000, 50)[:, None], 64
    i = torch.arange(n)
    printed = torch.stack([(t / 10000 ** (i / n)).sin(), (t / 10000 ** (i / n)).cos()], dim=2)
    angle = t / 10000 ** (i / (n - 1))
    network = torch.cat([angle.sin(), angle.cos()], dim=1)
    theirs = Timesteps(2 * n, flip_sin_to_cos=False, downscale_freq_shift=1)(t[:, 0])
    assert torch.allclose(network, theirs, atol=1e-4)
    assert (printed.flatten(1) - network).abs().max() > 1  # another order, and
    assert (printed[..., 0] - network[:, :n]).abs().max() > 0.1  # other speeds


def test_far_sight_comes_from_the_contracting_path():
    """How many pixels reach the middle of a map: few at the first, ever more on the way down."""
    three = {"block_out_channels": (8,) * 3, "add_attention": False}
    blocks = {"down_block_types": ("DownBlock2D",) * 3, "up_block_types": ("UpBlock2D",) * 3}
    model = small_unet(**three, **blocks)
    for name, part in list(model.named_modules()):
        if isinstance(part, nn.GroupNorm):  # its mean and spread are of the whole map
            model.set_submodule(name, nn.Identity())
    maps, x = [], torch.randn(1, 3, 64, 64, requires_grad=True)
    for part in (model.conv_in, *model.down_blocks, model.mid_block):
        part.register_forward_hook(
            lambda module, given, out: maps.append(out[0] if isinstance(out, tuple) else out)
        )
    model(x, 0)
    counts = []
    for hidden in maps:
        middle = hidden[0, :, hidden.shape[2] // 2, hidden.shape[3] // 2].sum()
        gradient = torch.autograd.grad(middle, x, retain_graph=True)[0]
        counts.append(int((gradient[0].abs().sum(0) > 0).sum()))
    assert counts[0] == 9  # one 3×3 convolution
    assert counts == sorted(set(counts))
    assert counts[-1] > 64 * 64 / 2


def test_taking_away_all_the_named_noise_each_time_makes_one_picture_of_all_starts():
    torch.manual_seed(0)
    pictures = torch.rand(30, 3, 8, 8, dtype=torch.float64) * 2 - 1
    scheduler = schedulers.DDIMScheduler(1000, clip_sample=False)
    scheduler.set_timesteps(50)
    knows = IdealDenoiser(pictures, scheduler)
    subtracted = stepped = torch.randn(40, 3, 8, 8, dtype=torch.float64)
    for t in scheduler.timesteps:
        subtracted = subtracted - knows(subtracted, t).sample
        stepped = scheduler.step(knows(stepped, t).sample, t, stepped).prev_sample
    apart = torch.cdist(stepped.flatten(1), pictures.flatten(1))
    assert apart.min(dim=1).values.max() < 1e-4  # each is a picture of the set
    assert len(apart.argmin(dim=1).unique()) > 15  # and they are many
    assert subtracted.std(dim=0).max() < 1e-6  # forty starts, one end
    assert subtracted.abs().max() > 2  # which is no picture


def test_adamw_shrinks_the_weights_before_the_step_and_apart_from_the_gradient():
    lr, decay, gradient = 0.5, 0.5, torch.tensor([3.0], dtype=torch.float64)
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    weight.grad = gradient
    torch.optim.AdamW([weight], lr=lr, weight_decay=decay).step()
    step = lr * gradient.sign()  # what Adam's first update is
    before = 2 * (1 - lr * decay) - step
    after = (2 - step) * (1 - lr * decay)
    assert torch.allclose(weight, before, atol=1e-6)
    assert not torch.allclose(before, after, atol=1e-2)


# ---- the page

PAGE = (ROOT / "book/errata.md").read_text()
ROWS = re.findall(r"^(\S.*)\n((?:: .*\n(?:  .*\n)*\n?){4})", PAGE, re.M)
PARTS = ("Where", "Said", "True", "Shown")
DOCUMENTS = ["000", "001", "002", "003", "004"]
NO_FAULTS = "No faults, and still good to know"
TEST = r"`(tests/[\w/]+\.py)::(\w+)`"
CELL = r"\{cell\}`(\w+)#([\w-]+)`"

cells = extension("course_cells")


def functions_of(file):
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_document_has_its_rows():
    sections = re.split(r"^## (.+)\n", PAGE, flags=re.M)
    titles, texts = sections[1::2], sections[2::2]
    assert [title[:3] for title in titles[:-1]] == DOCUMENTS
    assert titles[-1] == NO_FAULTS
    assert all(text.count("\n: *Said.*") >= 3 for text in texts)
    assert len(ROWS) == PAGE.count("\n: *Said.*") == PAGE.count("\n: *Shown.*")
    names = [name for name, _ in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_row_says_where_it_stands_and_has_its_proof(name, row):
    where, _, _, shown = parts = re.split(r"^: ", row, flags=re.M)[1:]
    for part, word in zip(parts, PARTS, strict=True):
        assert re.match(rf"\*{word}\.\* \S", part), f"{word} comes next, not {part}"
    # A place that one can look up: a heading or card, a listing, a parameter.
    assert re.search(r'"|listing|section|opening|signature', where)
    places, tests = re.findall(CELL, shown), re.findall(TEST, shown)
    assert places or tests
    rest = re.sub(rf"{CELL}|{TEST}", "", shown.removeprefix("*Shown.* "))
    assert re.fullmatch(r"[\s,.]*", rest), f"not understood: {rest}"
    for notebook, cell in places:
        assert cell in cells.cell_ids(notebook), cell
    for file, test in tests:
        assert test in functions_of(file), test


def test_the_rows_that_are_no_faults_name_their_document():
    for name, row in ROWS:
        stands = PAGE.index(f"\n{name}\n") > PAGE.index(f"## {NO_FAULTS}")
        assert bool(re.match(r": \*Where\.\* 00[0-4], ", row)) == stands, name


def test_every_proof_above_is_on_the_page():
    told = {test for file, test in re.findall(TEST, PAGE) if file == "tests/test_errata.py"}
    of_the_page = {
        "test_every_document_has_its_rows",
        "test_row_says_where_it_stands_and_has_its_proof",
        "test_the_rows_that_are_no_faults_name_their_document",
        "test_every_proof_above_is_on_the_page",
        "test_a_proof_is_found_on_the_page",
    }
    proofs = {name for name in functions_of("tests/test_errata.py") if name.startswith("test_")}
    assert proofs - of_the_page == told


def test_a_proof_is_found_on_the_page(built_book):
    """Each link to a cell leads to that cell, whose code stands at its anchor."""
    tree = BeautifulSoup((built_book / "book/errata.html").read_text(), "html.parser")
    links = [a for a in tree.find_all("a", href=True) if "#cell-" in a["href"]]
    assert len(links) == len(re.findall(CELL, PAGE))
    for link in links:
        page, anchor = link["href"].split("#")
        target = BeautifulSoup((built_book / "book" / page).read_text(), "html.parser")
        cell = target.find(id=anchor)
        assert cell is not None, link["href"]
        assert cell.select_one(".highlight"), f"no code at {link['href']}"
        assert link.find("code").text == anchor.removeprefix("cell-")
