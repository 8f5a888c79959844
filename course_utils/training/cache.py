"""Trained once, used again: runs kept on disk, named after everything that made them.

A chapter that needs a trained network asks `trained` for it. What an earlier run has left is
used if the settings, the first weights, the pictures and the code that trains are the same;
else the network is trained anew. The screen says which.
"""

import copy
import hashlib
import inspect
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils.data import tensors
from course_utils.data.tensors import ImageTensors
from course_utils.files import cache_folder, digest, write_whole
from course_utils.noise import process, targets
from course_utils.noise.process import NoiseScheduler
from course_utils.screen import tell
from course_utils.training import batches, loop, loss, pace, state
from course_utils.training.config import TrainingConfig
from course_utils.training.fingerprint import fingerprint
from course_utils.training.fitting import check_fit
from course_utils.training.state import Network, TrainingRun


def recipe_of(
    config: TrainingConfig, model: Network, noise_scheduler: NoiseScheduler, data: ImageTensors
) -> dict[str, Any]:
    """Everything that decides how a training run ends, in a form that can be compared.

    Args:
        config: The numbers of the run.
        model: The untrained network: its class, its settings and its first weights count.
        noise_scheduler: Its class and its settings count.
        data: Its pictures, labels and whether they are mirrored count.

    Returns:
        Plain values and SHA-256 digests; the versions of the libraries and the digest of the
        package's training code are among them.
    """
    modules = [loop, batches, loss, state, pace, process, targets, tensors]
    parents = [inspect.getmodule(c) for c in type(noise_scheduler).__mro__ if c is not object]
    modules += [module for module in parents if module is not None]
    code = "".join(inspect.getsource(m) for m in modules)
    recipe = {
        "config": asdict(config),
        "weights": digest(model.state_dict()),
        "code": hashlib.sha256(code.encode()).hexdigest(),
    }
    return json.loads(json.dumps(recipe | fingerprint(model, noise_scheduler, data)))


def trained(
    config: TrainingConfig,
    model: Network,
    noise_scheduler: NoiseScheduler,
    data: ImageTensors,
    progress: bool = True,
) -> TrainingRun:
    """Train a network, or take it from an earlier run that was the same in everything.

    Args:
        config: The numbers of the run.
        model: The untrained network; it holds the trained weights afterwards.
        noise_scheduler: As for `course_utils.training.train`, ours or diffusers'.
        data: The pictures.
        progress: Whether to show a progress bar.

    Returns:
        What `course_utils.training.train` returns. A line on the screen says whether it was
        trained or loaded. A kept file that is damaged, or not what its name says, is reported
        and replaced; where nothing can be written, the run is still returned.

    Raises:
        ValueError: The pictures do not fit the network; or the settings have an output folder,
            which a run that is only loaded would leave empty, or minutes in place of updates.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.models import UNet
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import TrainingConfig, trained
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> model = UNet(in_channels=1, hidden_dims=(8, 16), image_size=8)
        >>> config = TrainingConfig(num_steps=2, num_warmup_steps=1, batch_size=8)
        >>> run = trained(config, model, DDPMScheduler(), data, progress=False)
        trained 2 updates in ...
        >>> len(run.losses)
        2
    """
    check_fit(model, data, config)
    if config.output_dir is not None:
        raise ValueError(
            f"output_dir is {config.output_dir!r}; a run kept here writes no folder. Use train(), "
            f"and resume=True to go on from its checkpoints."
        )
    if config.minutes is not None:
        raise ValueError(
            f"minutes is {config.minutes}; a run kept here is the same the next time, which one of "
            f"so many minutes is not. Give num_steps, or use train()."
        )
    recipe = recipe_of(config, model, noise_scheduler, data)
    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_folder() / f"run-{name}.safetensors"
    if path.exists():
        try:
            run = _load(path, recipe, model)
        except Exception as error:
            tell(f"the kept run {path.name} cannot be used: {error} It is trained anew.")
        else:
            print(f"loaded {path.name} ({config.num_steps} updates), trained in an earlier run")
            return run
    started = time.perf_counter()
    run = loop.train(config, model, noise_scheduler, data, progress)
    print(f"trained {config.num_steps} updates in {time.perf_counter() - started:.0f} s", end="")
    try:
        _save(path, recipe, run)
    except OSError as error:
        tell(f"; not kept for the next time ({error.strerror or error})")
    else:
        print(f"; kept as {path.name}")
    return run


def _save(path: Path, recipe: dict[str, Any], run: TrainingRun) -> None:
    """Put a run in one file, with what made it and a digest of its numbers."""
    from safetensors.torch import save

    tensors = {f"model.{k}": v for k, v in run.model.state_dict().items()}
    tensors |= {f"ema_model.{k}": v for k, v in run.ema_model.state_dict().items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    tensors["losses"] = torch.tensor(run.losses, dtype=torch.float64)
    metadata = {"recipe": json.dumps(recipe), "digest": digest(tensors)}
    write_whole(path, save(tensors, metadata))


def _load(path: Path, recipe: dict[str, Any], model: Network) -> TrainingRun:
    """Read a kept run into the network, or say what is wrong with the file."""
    from accelerate import PartialState
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if json.loads(metadata.get("recipe", "null")) != recipe:
        raise ValueError("it was made by other settings than its name says.")
    if metadata.get("digest") != digest(tensors):
        raise ValueError("its numbers are not those that were written.")
    losses = tensors.pop("losses").tolist()
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema_model": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    device = PartialState().device
    ema_model = copy.deepcopy(model)
    ema_model.load_state_dict(parts["ema_model"])
    model.load_state_dict(parts["model"])
    return TrainingRun(model.to(device).train(), ema_model.to(device).eval(), losses)
