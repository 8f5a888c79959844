"""A denoising U-Net from scratch. Its parts are in `course_utils.models.layers`.

It can stand wherever diffusers' ``UNet2DModel`` can: it is called in the same way, has ``config``,
``save_pretrained`` and ``from_pretrained``, and fits a ``DDPMPipeline``. Taught in chapter
05_flowers.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import FrozenDict, register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from course_utils.models.base import count_given
from course_utils.models.embedding import TimeEmbedding
from course_utils.models.layers import GROUPS, DownLevel, Middle, ResidualBlock, UpLevel


class UNet(ModelMixin, ConfigMixin):
    """A denoising U-Net: a noisy picture and its noise level in, the noise out.

    With the default `hidden_dims` it is, layer by layer, the network of 133,417,219 parameters
    of a well-known book on generative AI. With k entries it has k - 1 levels; the last entry is
    the width of the bottom.

    Args:
        in_channels: Channels of the pictures, in and out: 1 grey, 3 RGB.
        hidden_dims: Channels of each level and of the bottom, at least two, multiples of 8.
        image_size: Side of the pictures in pixels. A note to samplers and pipelines; the network
            takes any height and width that its levels can halve.
        heads: Heads of each attention, of 32 values each; fewer are faster.
        num_class_embeds: How many classes the network knows; None for a network without.
        attention_level: Which level of the way up has attention, counted from the top. 0, the
            original's, sees the whole picture at full size and is the dearest by far.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> import torch
        >>> from course_utils.models import UNet
        >>> model = UNet(hidden_dims=(16, 32), image_size=16, num_class_embeds=3)
        >>> x_t = torch.randn(2, 3, 16, 16)
        >>> model(x_t, 500, class_labels=torch.tensor([0, 2])).sample.shape
        torch.Size([2, 3, 16, 16])

    Source:
        Ho et al. 2020, arXiv 2006.11239, appendix B, for the idea.

    Chapter: 5, "All together".
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        hidden_dims: Sequence[int] = (128, 256, 512, 1024),
        image_size: int = 64,
        heads: int = 4,
        num_class_embeds: int | None = None,
        attention_level: int = 0,
    ) -> None:
        super().__init__()
        count_given(self)
        _check_settings(in_channels, hidden_dims, image_size, heads, num_class_embeds)
        _check_attention_level(attention_level, len(hidden_dims) - 1)
        self.gradient_checkpointing = False
        self.factor = 2 ** (len(hidden_dims) - 2)
        first, time_dim = hidden_dims[0], 4 * hidden_dims[0]
        levels = list(pairwise(hidden_dims))
        lowest = levels[-1]
        self.time_embedding = TimeEmbedding(first)
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownLevel(*level, time_dim, level is lowest, heads) for level in levels
        )
        self.mid_block = Middle(hidden_dims[-1], time_dim, heads)
        self.up_blocks = nn.ModuleList(
            UpLevel(below, width, time_dim, k == 0, heads, k == attention_level)
            for k, (width, below) in reversed(list(enumerate(levels)))
        )
        self.head = ResidualBlock(2 * first, first, time_dim)
        self.conv_out = nn.Conv2d(first, in_channels, 1)
        self.class_embedding = None
        if num_class_embeds is not None:
            self.class_embedding = nn.Embedding(num_class_embeds, time_dim)

    @property
    def config(self) -> FrozenDict:
        """The settings, and the same facts under the names that trainers and pipelines read."""
        own = self._internal_dict
        shared = {
            "out_channels": own["in_channels"],
            "sample_size": own["image_size"],
            "block_out_channels": tuple(own["hidden_dims"][:-1]),  # one for each size of map
        }
        return FrozenDict({**own, **shared})

    @classmethod
    def extract_init_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """As in diffusers, for `from_config`; what `config` says twice is not asked for twice."""
        twice = ("out_channels", "sample_size", "block_out_channels")
        own = {name: value for name, value in config_dict.items() if name not in twice}
        return super().extract_init_dict(own, **kwargs)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        class_labels: Tensor | None = None,
        return_dict: bool = True,
    ) -> UNet2DOutput | tuple[Tensor]:
        """Say what noise is in some pictures.

        Args:
            sample: Noisy pictures, floating point, shape (N, in_channels, H, W); H and W
                multiples of ``2 ** (len(hidden_dims) - 2)``.
            timestep: Their noise levels: one number for all, also as a tensor of shape () or (1,),
                or one for each, shape (N,). Whole numbers, or any with flow matching.
            class_labels: What the pictures are to show, integers in [0, num_class_embeds), shape
                (N,), or one for all as with `timestep`; None for a network without classes.
                Labels on a GPU are not checked for their range, which would make it wait.
            return_dict: False for a plain tuple.

        Returns:
            An output whose ``sample``, also ``["sample"]``, has the shape of `sample`; or a tuple
            of that one tensor.

        Raises:
            TypeError: `timestep` is no real number, or `class_labels` are not integers.
            ValueError: A shape does not fit, a label is out of range, or labels are missing or
                were given to a network without classes.

        Chapter: 5, "All together".
        """
        self._check_sample(sample)
        time = self.time_embedding(_levels(timestep, sample), sample.dtype)
        if self.class_embedding is not None or class_labels is not None:
            time = time + self._embedded_classes(class_labels, sample)
        x = stem = self.conv_in(sample)
        skips: list[Tensor] = []
        for level in self.down_blocks:
            x, kept = self._run(level, x, time)
            skips.extend(kept)
        x = self._run(self.mid_block, x, time)
        for level in self.up_blocks:
            x = self._run(level, x, (skips.pop(), skips.pop()), time)
        x = self._run(self.head, torch.cat([x, stem], dim=1), time)
        out = self.conv_out(x)
        return UNet2DOutput(sample=out) if return_dict else (out,)

    def _run(self, part: nn.Module, *inputs: Any) -> Any:
        """What a part gives out, kept for the gradient or, to save memory, worked out again."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(part, *inputs)
        return part(*inputs)

    def _embedded_classes(self, class_labels: Tensor | None, sample: Tensor) -> Tensor:
        """What is added to the time embedding so that the network knows what to show."""
        if self.class_embedding is None:
            raise ValueError(
                "class_labels were given, but this network knows no classes: leave them out, or "
                "build it with num_class_embeds."
            )
        classes = self.class_embedding.num_embeddings
        if class_labels is None:
            raise ValueError(
                f"class_labels are missing: this network knows {classes} classes and wants one "
                f"label for each picture, in [0, {classes - 1}]."
            )
        labels = _one_for_each("class_labels", class_labels, sample)
        if labels.is_floating_point() or labels.dtype is torch.bool:
            raise TypeError(f"class_labels are {labels.dtype}; they number classes: use integers.")
        if labels.is_cpu and not torch.compiler.is_compiling():
            wrong = labels[(labels < 0) | (labels >= classes)]
            if len(wrong):
                raise ValueError(f"class_labels hold {wrong[0]}; they run from 0 to {classes - 1}.")
        return self.class_embedding(labels).to(sample.dtype)

    def _check_sample(self, sample: Tensor) -> None:
        channels = self.conv_in.in_channels
        if sample.ndim != 4 or sample.shape[1] != channels:
            raise ValueError(
                f"sample has shape {tuple(sample.shape)}; this network takes (N, {channels}, H, W)."
            )
        height, width = sample.shape[2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"The pictures are {height}x{width}; with {len(self.down_blocks)} levels height "
                f"and width must be multiples of {self.factor}."
            )


def _check_settings(
    in_channels: int,
    hidden_dims: Sequence[int],
    image_size: int,
    heads: int,
    num_class_embeds: int | None,
) -> None:
    if in_channels < 1 or heads < 1:
        raise ValueError(
            f"in_channels is {in_channels} and heads is {heads}; both must be at least 1."
        )
    if len(hidden_dims) < 2 or any(dim < GROUPS or dim % GROUPS for dim in hidden_dims):
        raise ValueError(
            f"hidden_dims is {tuple(hidden_dims)}; use two or more multiples of {GROUPS}, since "
            f"channels are normalised in {GROUPS} groups."
        )
    factor = 2 ** (len(hidden_dims) - 2)
    if image_size < factor or image_size % factor:
        raise ValueError(
            f"image_size is {image_size}; with {len(hidden_dims)} hidden_dims it must be a "
            f"multiple of {factor}."
        )
    if num_class_embeds is not None and num_class_embeds < 1:
        raise ValueError(
            f"num_class_embeds is {num_class_embeds}; use at least 1, or None for no classes."
        )


def _check_attention_level(attention_level: int, levels: int) -> None:
    if not 0 <= attention_level < levels:
        raise ValueError(
            f"attention_level is {attention_level}; this network has {levels} levels, 0 (the "
            f"topmost) to {levels - 1}."
        )


def _levels(timestep: Tensor | float, sample: Tensor) -> Tensor:
    """Noise levels as numbers of shape (N,) beside the pictures."""
    levels = _one_for_each("timestep", timestep, sample)
    if levels.is_complex() or levels.dtype is torch.bool:
        raise TypeError(f"timestep is {levels.dtype}; a noise level is a number: int or float.")
    return levels


def _one_for_each(name: str, values: Tensor | float, sample: Tensor) -> Tensor:
    """One value for all pictures, or one for each, as shape (N,) beside the pictures."""
    values = torch.as_tensor(values, device=sample.device)
    if values.ndim > 1 or values.numel() not in (1, sample.shape[0]):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; give one for all "
            f"{sample.shape[0]} pictures or one for each."
        )
    return values.reshape(-1).expand(sample.shape[0])
