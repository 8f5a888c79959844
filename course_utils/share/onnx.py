"""A network as one file that other programs run: ONNX, which a browser can calculate, too.

ONNX is a list of a network's layers and their weights. Writing one means to follow a picture
through the network and to note what is done to it; so what comes out is compared with PyTorch.
Told on the page "What happens in your browser".
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.files import check_folder, spelled_out, write_whole
from course_utils.models.base import height_and_width
from course_utils.sampling.opening import open_folder

FILE = "model.onnx"

PRODUCER = "course-utils"
"""What a file names as the program that has written it."""

MOST_OFF = 1e-4
"""How far an answer may be off, as a share of the largest number in it. Rounding makes 1e-6."""

LEVELS = (0.0, 500.0, 999.0)
"""The noise levels at which a file is compared with the network, of a thousand."""


class ExportError(RuntimeError):
    """A network could not be brought into another form; the message says why."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how near it comes to the network.

    Attributes:
        path: The file.
        size: Its bytes.
        off: The largest difference from PyTorch, as a share of the largest number in an answer.
        rounding: The same for what storing the weights in half precision changes; 0 if they are
            stored as they are, or were in half precision before.
    """

    path: Path
    size: int
    off: float
    rounding: float


def export(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], *, half: bool = True
) -> Exported:
    """Write a trained network as ``model.onnx``, and compare it with PyTorch.

    The file takes ``sample`` (N, C, H, W), ``timestep`` () and, if the network has classes,
    ``class_labels`` (N,) as int32, and answers ``output`` (N, C, H, W).

    Args:
        folder: A trained network, see `open_folder`.
        out: The folder that gets the file; made if it is not there. A file that this has written
            there before is replaced.
        half: Store the weights in half precision, which halves the file. They are calculated
            with in single precision all the same.

    Returns:
        What was written, and how far it is off.

    Raises:
        FileExistsError: There is a file in the way that this has not written.
        FileNotFoundError: There is no network in the folder.
        ValueError: The network is of another kind, or its weights are too large for half
            precision.
        ExportError: The file does not calculate what the network does; nothing was written.

    Example:
        >>> from course_utils.models import gallery
        >>> from course_utils.share import export
        >>> found = export(gallery.FOLDER / "sprites-16", "my-export")
        >>> found.path.name, found.off < 1e-4
        ('model.onnx', True)

    Source:
        The ONNX specification, opset 20; ``torch.onnx.export``.
    """
    goal = spelled_out("out", out) / FILE
    check_folder("out", goal.parent)
    if goal.exists() and not _ours(goal):
        raise FileExistsError(
            f"{goal} is there, and was not written by this command. Choose another folder, or "
            "delete it. Nothing was written."
        )
    content, off, rounding = converted(open_folder(folder).model, half)
    write_whole(goal, content)
    return Exported(goal, len(content), off, rounding)


def _ours(file: Path) -> bool:
    """Whether a file is one that `export` has written."""
    import onnx

    try:
        return onnx.load(file, load_external_data=False).producer_name == PRODUCER
    except Exception:  # protobuf raises its own at what is no ONNX
        return False


def converted(model: nn.Module, half: bool = True) -> tuple[bytes, float, float]:
    """A network as the bytes of an ONNX file, compared with PyTorch.

    Args:
        model: A ``UNet2DModel`` or our `UNet` in evaluation mode and single precision. With
            `half`, its weights are rounded on the way.
        half: See `export`.

    Returns:
        The bytes, how far an answer is off, and what rounding the weights has changed.

    Raises:
        ValueError: The weights are too large for half precision.
        ExportError: The file does not calculate what the network does.
    """
    exact = _answers(model)
    if half:
        _round_weights(model)
    wanted = _answers(model)
    graph = _graph(model)
    graph.producer_name = PRODUCER
    if half:
        _store_in_half(graph)
    content = graph.SerializeToString()
    off = _apart(_answers_of_file(content, model), wanted)
    if not off <= MOST_OFF:
        raise ExportError(
            f"The ONNX file is off by {off:.2g} of the largest number, more than {MOST_OFF}: it "
            "does not calculate what the network does. Nothing was written."
        )
    return content, off, _apart(wanted, exact)


class _Plain(nn.Module):
    """The network with what a file can take and give: tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, sample: Tensor, timestep: Tensor, class_labels: Tensor | None = None
    ) -> Tensor:
        levels = timestep.expand(sample.shape[0])
        return self.model(sample, levels, class_labels=class_labels).sample


def _inputs(model: nn.Module, count: int, level: float) -> dict[str, Tensor]:
    """Noise to ask about, the same each time."""
    config: Any = model.config
    shape = (count, config.in_channels, *height_and_width(config.sample_size))
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(count))
    inputs = {"sample": noise, "timestep": torch.tensor(level)}
    if config.num_class_embeds is not None:
        labels = torch.arange(count, dtype=torch.int32) % config.num_class_embeds
        inputs["class_labels"] = labels
    return inputs


def _cases(model: nn.Module) -> list[dict[str, Tensor]]:
    """Three noise levels, and one, two or three pictures at once."""
    return [_inputs(model, count, level) for count, level in enumerate(LEVELS, start=1)]


@torch.inference_mode()
def _answers(model: nn.Module) -> list[np.ndarray]:
    return [_Plain(model)(**inputs).numpy() for inputs in _cases(model)]


def _answers_of_file(content: bytes, model: nn.Module) -> list[np.ndarray]:
    """What another program makes of the file."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [
        session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
        for inputs in _cases(model)
    ]


def _apart(found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """The largest difference, as a share of the largest number in its answer."""
    pairs = zip(found, wanted, strict=True)
    return max(float(np.abs(f - w).max() / np.abs(w).max()) for f, w in pairs)


def _round_weights(model: nn.Module) -> None:
    """Give each weight the nearest value that half precision has."""
    for name, weight in model.named_parameters():
        rounded = weight.detach().half()
        if not rounded.isfinite().all():
            raise ValueError(
                f"{name} holds {weight.abs().max():g}, and half precision ends at 65504. Export in "
                "full precision: half=False, on the command line --full."
            )
        weight.data.copy_(rounded)


def _graph(model: nn.Module) -> Any:
    """The network as ONNX writes it down, for any number of pictures at once."""
    inputs = _inputs(model, 2, LEVELS[1])
    count = torch.export.Dim("pictures", min=1)
    dynamic = {name: {0: count} if value.ndim else {} for name, value in inputs.items()}
    with warnings.catch_warnings():
        # Both inputs have as many rows; that it says so is no matter.
        warnings.filterwarnings("ignore", "# The axis name", UserWarning)
        program: Any = torch.onnx.export(
            _Plain(model).eval(),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=["output"],
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )
    return _without_traces(program.model_proto)


def _without_traces(graph: Any) -> Any:
    """Without the notes where in the code each step was found: half a megabyte, with paths."""
    for part in [*graph.graph.node, *graph.graph.input, *graph.graph.output]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.graph.ClearField("value_info")
    graph.ClearField("metadata_props")
    return graph


def _store_in_half(graph: Any) -> None:
    """Store in half precision what it can say exactly, and widen it again where it is used.

    The weights were rounded before, so that nothing is lost; the frequencies of the noise level's
    sines are no weights and stay as they are.
    """
    from onnx import TensorProto, helper, numpy_helper

    widened = []
    for kept in graph.graph.initializer:
        values = numpy_helper.to_array(kept)
        if values.dtype != np.float32 or values.size < 2:
            continue
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        if np.array_equal(narrow.astype(np.float32), values):
            name = kept.name
            kept.CopyFrom(numpy_helper.from_array(narrow, f"{name}.half"))
            node = helper.make_node("Cast", [kept.name], [name], to=TensorProto.FLOAT)
            widened.append(node)
    nodes = [*widened, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
