"""Guidance: what tells a better answer from a worse one, taken more than once.

A network that was told no label for a share of its training can be asked twice, with the label
and without. The difference of its answers is what the label adds. The worse answer may come from
somewhere else too: from a label that is not wanted, or from a weaker network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from course_utils.models.base import Denoiser
from course_utils.sampling.labels import label_tensor


@dataclass(frozen=True)
class Guidance:
    """How much better than which answer the pictures are to be.

    Where ``scale`` is not 1, the worse answer comes from one of three: `no_label`,
    `negative_labels` or `weaker`.

    Attributes:
        scale: 1 is the network as it is, asked once. Above 1 the difference between the better
            answer and the worse counts for more, at 0 only the worse is left.
        no_label: The label that stood for "no label" in training: classifier-free guidance.
        negative_labels: For each picture a label that it is not to show.
        weaker: A weaker version of the network, asked with the same labels: autoguidance. It
            predicts the same thing and stands on the same device.
        interval: The lowest and the highest timestep at which to guide, as the scheduler counts
            them. At others the network is asked once, as it is.
        rescale: In [0, 1]: how far the guided answer is brought back to the spread that the
            better answer has.

    Raises:
        TypeError: The scale is not a number.
        ValueError: The scale is below 0 or not finite, the interval is none, `rescale` is outside
            [0, 1], or not one of the three is given where the scale is not 1.

    Example:
        >>> from course_utils.sampling import Guidance
        >>> Guidance(5.0, no_label=5, interval=(200, 800)).acts_at(900)
        False

    Source:
        Ho and Salimans 2022, arXiv 2207.12598, eq. 6, with scale = 1 + w. `weaker`: Karras and
        others 2024, arXiv 2406.02507, eq. 3. `interval`: Kynkäänniemi and others 2024, arXiv
        2404.07724, eq. 5. `rescale`: Lin and others 2023, arXiv 2305.08891, section 3.4.

    Chapter: 7, "The two answers at one step".
    """

    scale: float = 1.0
    no_label: int | None = None
    negative_labels: Sequence[int] | None = None
    weaker: Denoiser | None = None
    interval: tuple[float, float] = (0, inf)
    rescale: float = 0.0

    def __post_init__(self) -> None:
        scale = self.scale
        if isinstance(scale, bool) or not isinstance(scale, (int, float)):
            raise TypeError(f"guidance_scale is {scale!r}; give a number, 1 for none.")
        if not 0 <= scale < inf:
            raise ValueError(f"guidance_scale is {scale}; it is 0 or more, 1 for none.")
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"rescale is {self.rescale}; use 0 (not at all) to 1 (wholly).")
        if not len(self.interval) == 2 or not 0 <= self.interval[0] <= self.interval[1]:
            raise ValueError(
                f"interval is {self.interval}; give two timesteps, the lower one first."
            )
        worse = (self.no_label, self.negative_labels, self.weaker)
        if scale != 1 and sum(way is not None for way in worse) != 1:
            raise ValueError(
                f"guidance_scale is {scale}, so there must be one worse answer to go away from: "
                "give no_label (classifier-free guidance), negative_labels or weaker."
            )

    def acts_at(self, timestep: Any) -> bool:
        """Whether the answer at a timestep is a guided one.

        Args:
            timestep: As the scheduler counts it.

        Returns:
            False where the network is asked once, as it is.
        """
        low, high = self.interval
        return self.scale != 1 and low <= float(timestep) <= high


def ask(model: Denoiser, sample: Tensor, timestep: Any, *questions: Any) -> tuple[Tensor, ...]:
    """Ask a network about the same noisy pictures with several sets of labels, in one call.

    Args:
        model: The network.
        sample: Noisy pictures, shape (N, C, H, W).
        timestep: Their noise level, one for all.
        questions: Sets of labels: shape (N,); or (N, num_classes), the share of each label in a
            mixture; or None for a network without classes.

    Returns:
        For each set the answer, shape (N, C, H, W). Of a mixture it is the sum of the answers to
        its labels, share by share.

    Source:
        The sum: Liu and others 2022, arXiv 2206.01714, eq. 11, with shares that sum to 1.
    """
    if all(asked is None or asked.ndim == 1 for asked in questions):
        labels = None if questions[0] is None else torch.cat(questions)
        seen = torch.cat([sample] * len(questions))
        return model(seen, timestep, class_labels=labels).sample.chunk(len(questions))
    return _ask_of_mixtures(model, sample, timestep, questions)


def _ask_of_mixtures(
    model: Denoiser, sample: Tensor, timestep: Any, questions: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Each picture is shown once for each of its labels, and what is said is summed up."""
    kinds = model.config.num_class_embeds
    shares = torch.stack([q if q.ndim == 2 else one_hot(q, kinds).float() for q in questions])
    number, row, label = shares.nonzero(as_tuple=True)
    answers = model(sample[row], timestep, class_labels=label).sample
    share = shares[number, row, label].to(answers.dtype).view(-1, *[1] * (sample.ndim - 1))
    summed = answers.new_zeros(len(questions), *sample.shape)
    return summed.index_put_((number, row), answers * share, accumulate=True).unbind()


def guided_answer(
    model: Denoiser,
    sample: Tensor,
    timestep: Any,
    class_labels: Tensor | None,
    guidance: Guidance | None = None,
) -> Tensor:
    """Ask a network about noisy pictures, and go on from a worse answer through the better one.

    Args:
        model: The network.
        sample: Noisy pictures, shape (N, C, H, W).
        timestep: Their noise level, one for all.
        class_labels: What they are to show, as `ask` takes it.
        guidance: How; None for the network as it is.

    Returns:
        Noise or velocity, as the network predicts it, shape (N, C, H, W).

    Example:
        >>> import torch
        >>> from course_utils.models import gallery
        >>> from course_utils.sampling import Guidance, guided_answer
        >>> artist = gallery.load("sprites-16")
        >>> x, potion = torch.randn(1, 3, 16, 16), torch.tensor([4])
        >>> twice = Guidance(2.0, no_label=artist.no_label)
        >>> guided_answer(artist.model, x, 900, potion, twice).shape
        torch.Size([1, 3, 16, 16])

    Source:
        Ho and Salimans 2022, arXiv 2207.12598, eq. 6.

    Chapter: 5, "Asked twice".
    """
    if guidance is None or not guidance.acts_at(timestep):
        return ask(model, sample, timestep, class_labels)[0]
    if guidance.weaker is not None:
        (better,) = ask(model, sample, timestep, class_labels)
        (worse,) = ask(guidance.weaker, sample, timestep, class_labels)
    else:
        unwanted = worse_labels(guidance, len(sample)).to(sample.device)
        better, worse = ask(model, sample, timestep, class_labels, unwanted)
    guided = worse + guidance.scale * (better - worse)  # eq. 6
    return rescaled(guided, better, guidance.rescale)


def worse_labels(guidance: Guidance, count: int) -> Tensor:
    """The labels with which the worse answer is asked for.

    Args:
        guidance: With `no_label` or `negative_labels`.
        count: How many pictures there are.

    Returns:
        int64, shape (count,).
    """
    if guidance.negative_labels is not None:
        return torch.as_tensor(guidance.negative_labels, dtype=torch.int64)
    assert guidance.no_label is not None  # Guidance has seen to it
    return torch.full((count,), guidance.no_label)


def rescaled(guided: Tensor, better: Tensor, share: float) -> Tensor:
    """Bring a guided answer back to the spread of one that is not, wholly or in part.

    Args:
        guided: Shape (N, C, H, W).
        better: The answer with the label, same shape.
        share: In [0, 1]: 0 for not at all.

    Returns:
        Same shape. Wholly rescaled, each picture's values have the deviation of `better`.

    Source:
        Lin and others 2023, arXiv 2305.08891, eq. 15 and 16.
    """
    if share == 0:
        return guided
    spread = [x.flatten(1).std(dim=1).view(-1, *[1] * (x.ndim - 1)) for x in (better, guided)]
    return share * guided * (spread[0] / spread[1]) + (1 - share) * guided  # eq. 15, 16


def check_guidance(model: Denoiser, guidance: Guidance | None, count: int) -> None:
    """Refuse a guidance that cannot be with this network and so many pictures.

    Args:
        model: The network.
        guidance: See `Guidance`.
        count: How many pictures there are.

    Raises:
        TypeError: A negative label is not a whole number.
        ValueError: The network has no such label, there is not one negative label for each
            picture, or the weaker network is not one of the same kind.
    """
    if guidance is None or guidance.scale == 1:
        return
    classes = model.config.num_class_embeds
    if guidance.weaker is not None:
        _check_weaker(model, guidance.weaker)
    elif guidance.negative_labels is not None:
        label_tensor(guidance.negative_labels, classes, count, "negative_labels")
    elif classes is None or guidance.no_label not in range(classes):
        known = "no classes" if classes is None else f"labels from 0 to {classes - 1}"
        raise ValueError(
            f"guidance_scale is {guidance.scale} and no_label {guidance.no_label}, but the network "
            f"knows {known}. Guidance needs a network that was sometimes told nothing in training "
            "(label_dropout above 0), and no_label, the label that stood for that."
        )


def _check_weaker(model: Denoiser, weaker: Denoiser) -> None:
    for name in ("sample_size", "in_channels", "num_class_embeds"):
        ours, theirs = (getattr(net.config, name) for net in (model, weaker))
        if ours != theirs:
            raise ValueError(
                f"weaker has {name}={theirs} and the network {ours}; it must be a weaker version "
                "of the same network, trained for the same task."
            )
    ours, theirs = (next(net.parameters()).device for net in (model, weaker))
    if ours != theirs:
        raise ValueError(f"weaker is on {theirs} and the network on {ours}: move one of them.")
