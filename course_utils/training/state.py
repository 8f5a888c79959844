"""What changes while a run goes on: weights, their average, the optimiser, the losses."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from course_utils.models.base import Denoiser
from course_utils.training.config import TrainingConfig
from course_utils.training.pace import Pace

_AVERAGES = ("exp_avg", "exp_avg_sq")  # what AdamW remembers of each weight


class Network(Denoiser, Protocol):
    """A network that can be trained: its weights can be read and written. Any PyTorch module."""

    def modules(self) -> Iterator[nn.Module]:
        """All its parts."""

    def state_dict(self) -> dict[str, Any]:
        """The weights by name."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Set the weights by name."""

    def to(self, device: Any) -> Any:
        """Move the weights."""


@dataclass(frozen=True)
class TrainingRun:
    """What `train` leaves behind.

    Attributes:
        model: The network with its last weights, in training mode.
        ema_model: A copy with the averaged weights, in evaluation mode: sample with this.
        losses: The loss of each update, a list of ``num_steps`` floats.
    """

    model: Network
    ema_model: Network
    losses: list[float] = field(repr=False)


class TrainingState:
    """All that a checkpoint must hold for a run to go on as if it had never stopped.

    Args:
        config: The numbers of the run.
        model: The network.
        accelerator: Accelerate's `Accelerator`.

    Source:
        AdamW: arXiv 1711.05101. Averaged weights: Ho et al. 2020, arXiv 2006.11239, appendix B.
    """

    def __init__(self, config: TrainingConfig, model: Network, accelerator: Any) -> None:
        from diffusers.training_utils import EMAModel

        self.config = config
        self.accelerator = accelerator
        self.network = model
        self.ema = EMAModel(model.parameters(), decay=config.ema_decay, foreach=True)
        betas = (0.9, config.adam_beta2)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=betas, fused=True
        )
        self.pace = Pace.of(config.num_warmup_steps, config.num_steps)
        self._start_lr_scheduler(optimizer, step=0)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.ema.to(accelerator.device)
        self.losses: list[float] = []

    def _start_lr_scheduler(self, optimizer: Any, step: int) -> None:
        """The cosine with warm-up, counted in updates, at the place it has before `step`."""
        for group in optimizer.param_groups:
            group["initial_lr"] = self.config.learning_rate
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.pace.rate(step), last_epoch=step - 1
        )

    @property
    def step(self) -> int:
        """How many updates have been made."""
        return len(self.losses)

    def averaged(self, onto: Network | None = None) -> Network:
        """The network with its averaged weights, in evaluation mode.

        Args:
            onto: A copy of the network to write them into; None makes one.

        Returns:
            That copy.

        Source:
            Ho et al. 2020, arXiv 2006.11239, appendix B.
        """
        onto = copy.deepcopy(self.network).eval() if onto is None else onto
        self.ema.copy_to(onto.parameters())
        return onto

    def tensors(self) -> dict[str, Tensor]:
        """Every number of the state, by name.

        Returns:
            Tensors on the CPU, ready for a safetensors file.
        """
        found = {f"model.{name}": t for name, t in self.network.state_dict().items()}
        found |= {f"ema.{k}": t for k, t in enumerate(self.ema.shadow_params)}
        for k, slots in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{k}.{slot}": torch.as_tensor(t) for slot, t in slots.items()}
        scaler = {} if self.accelerator.scaler is None else self.accelerator.scaler.state_dict()
        found |= {f"scaler.{name}": torch.tensor(value) for name, value in scaler.items()}
        found["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put everything back to where it was when `tensors` was called.

        Args:
            tensors: What `tensors` gave.

        Raises:
            ValueError: It is not of this network, or not all of it; nothing was changed.
        """
        self._check(tensors)
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        self.network.load_state_dict(parts["model"])
        for k, shadow in enumerate(self.ema.shadow_params):
            shadow.copy_(parts["ema"][str(k)])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts.get("optimizer", {}).items():
            number, _, slot = name.partition(".")
            slots.setdefault(int(number), {})[slot] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": slots})
        if "scaler" in parts:
            scaler = {name: tensor.item() for name, tensor in parts["scaler"].items()}
            self.accelerator.scaler.load_state_dict(scaler)
        self.losses[:] = parts["losses"][""].tolist()
        self.ema.optimization_step = self.step
        self._start_lr_scheduler(self.optimizer.optimizer, self.step)

    def _check(self, tensors: dict[str, Tensor]) -> None:
        """Refuse numbers that are missing, left over, or of another shape, by name."""
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        wanted = {name: tuple(tensor.shape) for name, tensor in self.tensors().items()}
        wanted["losses"] = (len(tensors.get("losses", "")),)
        begun = {name.split(".")[1] for name in found if name.startswith("optimizer.")}
        for k, shadow in enumerate(self.ema.shadow_params):
            if str(k) in begun:  # a weight that learns nothing, AdamW knows nothing of
                wanted |= {f"optimizer.{k}.{slot}": tuple(shadow.shape) for slot in _AVERAGES}
                wanted[f"optimizer.{k}.step"] = ()
        wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        wrong = wrong if begun else [*wrong, "optimizer"]
        if wrong:
            told = [f"{n}: {found.get(n, 'none')}, not {wanted.get(n, 'none')}" for n in wrong[:3]]
            raise ValueError(
                f"{len(wrong)} of its parts are not those of this run ({'; '.join(told)})"
            )

    def result(self) -> TrainingRun:
        """The run as it stands.

        Returns:
            The network, without what Accelerate has wrapped around it, a copy with averaged
            weights, and every loss.

        Chapter: 1, "The same through the package".
        """
        network = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        return TrainingRun(network, self.averaged(), self.losses)


def averaged_weights(model: Network, tensors: dict[str, Tensor]) -> Network:
    """Put the averaged weights of a checkpoint into a network.

    Args:
        model: A network like the one that was trained; it is changed.
        tensors: What `TrainingState.tensors` gave.

    Returns:
        The same network, in evaluation mode.
    """
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            parameter.copy_(tensors[f"ema.{k}"])
    return model.eval()
