"""ONNX files calculate what the networks do, in half and in full precision, and say no more."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from diffusers import UNet2DModel

from course_utils.models import UNet, gallery
from course_utils.share import onnx as ours
from course_utils.share.onnx import MOST_OFF, export
from tests.share.small import saved, small_network


def attentive(**changes):
    torch.manual_seed(0)
    return UNet2DModel(
        **({"sample_size": (8, 16), "in_channels": 1, "out_channels": 1} | changes),
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=4,
        layers_per_block=1,
    )


def our_unet():
    torch.manual_seed(0)
    model = UNet(hidden_dims=(8, 16), image_size=16, num_class_embeds=3)
    with torch.no_grad():  # its last layers begin at zero, where every file would be right
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


NETWORKS = {
    "theirs with labels": lambda: small_network(num_class_embeds=3),
    "theirs, not square, with attention": attentive,
    "ours": our_unet,
}


def answer(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]


@pytest.mark.parametrize("half", [True, False], ids=["half", "full"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_file_answers_as_the_network_does(tmp_path, kind, half):
    """At noise levels and numbers of pictures that the export has not looked at itself."""
    model = NETWORKS[kind]()
    model.save_pretrained(tmp_path / "model")
    found = export(tmp_path / "model", tmp_path / "out", half=half)
    assert found.path == tmp_path / "out" / "model.onnx"
    assert found.size == found.path.stat().st_size
    assert found.off <= MOST_OFF
    if half:
        model.half().float()
    config = model.config
    size = config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    for count, level in ((4, 3.0), (1, 250.0), (7, 981.0)):
        inputs = {"sample": torch.randn(count, config.in_channels, height, width)}
        inputs["timestep"] = torch.tensor(level)
        if config.num_class_embeds is not None:
            inputs["class_labels"] = torch.arange(count, dtype=torch.int32) % 3
        with torch.inference_mode():
            wanted = model(inputs["sample"], level, inputs.get("class_labels")).sample.numpy()
        off = np.abs(answer(found.path, **inputs) - wanted).max() / np.abs(wanted).max()
        assert off <= MOST_OFF


def test_half_precision_halves_the_file_and_says_what_rounding_changes(tmp_path):
    torch.manual_seed(0)
    small = {"block_out_channels": (32, 32), "sample_size": 8, "layers_per_block": 1}
    kinds = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    UNet2DModel(**small, **kinds, norm_num_groups=4).save_pretrained(tmp_path / "model")
    full = export(tmp_path / "model", tmp_path / "full", half=False)
    half = export(tmp_path / "model", tmp_path / "half")
    assert half.size < 0.6 * full.size
    assert full.rounding == 0
    assert 1e-5 < half.rounding < 1e-2  # a weight is rounded by 2**-11 at most
    kinds_of = {kept.data_type for kept in onnx.load(half.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds_of
    assert onnx.TensorProto.FLOAT in kinds_of  # the frequencies, which must stay exact


def test_the_gallery_loses_nothing_in_half_precision(tmp_path):
    found = export(gallery.FOLDER / "sprites-16", tmp_path)
    assert found.rounding == 0
    weights = (gallery.FOLDER / "sprites-16/diffusion_pytorch_model.safetensors").stat().st_size
    assert found.size < 1.1 * weights


def test_the_file_says_nothing_of_the_machine_it_was_made_on(tmp_path):
    content = export(saved(tmp_path / "wings"), tmp_path / "out").path.read_bytes()
    for trace in (b"site-packages", b"stack_trace", b".py", str(tmp_path).encode()):
        assert trace not in content


def test_a_file_that_calculates_something_else_is_not_written(tmp_path, monkeypatch):
    right = ours._graph

    def wrong(model):
        graph = right(model)
        kept = next(k for k in graph.graph.initializer if k.name.endswith("conv_out.bias"))
        values = onnx.numpy_helper.to_array(kept) + np.float32(0.01)
        kept.CopyFrom(onnx.numpy_helper.from_array(values, kept.name))
        return graph

    monkeypatch.setattr(ours, "_graph", wrong)
    with pytest.raises(RuntimeError, match=r"off by 0\.\d+ .* Nothing was written"):
        export(saved(tmp_path / "wings"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_model_of_a_run_is_written(tmp_path):
    saved(tmp_path / "run" / "model")
    assert export(tmp_path / "run", tmp_path / "out", half=False).path.is_file()


def test_a_file_of_somebody_elses_is_left_alone_and_ours_is_replaced(tmp_path):
    folder, goal = saved(tmp_path / "wings"), tmp_path / "out" / "model.onnx"
    goal.parent.mkdir()
    for content in (b"mine", onnx.ModelProto(producer_name="pytorch").SerializeToString()):
        goal.write_bytes(content)
        with pytest.raises(FileExistsError, match=r"model\.onnx is there, and was not written by"):
            export(folder, goal.parent)
        assert goal.read_bytes() == content
    with pytest.raises(FileExistsError, match=r"out is .*, and .*model\.onnx is a file"):
        export(folder, goal / "below")
    goal.write_bytes(onnx.ModelProto(producer_name=ours.PRODUCER).SerializeToString())
    export(folder, goal.parent, half=False)
    assert onnx.load(goal).producer_name == ours.PRODUCER
    assert len(onnx.load(goal).graph.node) > 10


def test_weights_too_large_for_half_precision_are_refused_by_name(tmp_path):
    model = small_network()
    model.conv_in.bias.data[0] = 7e4
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=r"conv_in\.bias holds 70000.* --full"):
        export(tmp_path / "model", tmp_path / "out")
    export(tmp_path / "model", tmp_path / "out", half=False)
