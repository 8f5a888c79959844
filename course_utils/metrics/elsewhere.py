"""Large networks of others as extractors: Inception, which most papers use, and DINO.

The package torch-fidelity has them; it loads their weights from the internet. The course needs
neither, and nothing here is loaded before it is asked for.
"""

from typing import Any

import torch
from torch import Tensor

from course_utils.metrics.features import Extractor, rounded

LAYERS = {"inception": ("inception-v3-compat", "2048"), "dinov2": ("dinov2-vit-b-14", "dinov2")}
"""For each name what torch-fidelity calls the network, and the layer whose numbers count."""

BATCH = 64


class WeightsUnavailableError(RuntimeError):
    """The weights of a large network could not be loaded."""


class OthersExtractor:
    """A network of torch-fidelity.

    Args:
        name: A key of `LAYERS`.
        network: The network, called on bytes.
        version: That of torch-fidelity.
    """

    def __init__(self, name: str, network: Any, version: str) -> None:
        self.name = f"{name}@torch-fidelity-{version}"
        self._network = network

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Features of pictures; the network resizes them itself.

        Args:
            images: Shape (N, C, H, W), in [-1, 1]; grey is shown as three equal channels.

        Returns:
            Shape (N, D), float32.
        """
        bytes_ = ((rounded(images) + 1) * 127.5).round().to(torch.uint8)
        colour = bytes_.expand(-1, 3, -1, -1)
        return torch.cat([self._network(part)[0] for part in colour.split(BATCH)]).float()


def open_extractor(name: str) -> Extractor:
    """Open a network of torch-fidelity.

    Args:
        name: A key of `LAYERS`.

    Returns:
        The extractor.

    Raises:
        ModuleNotFoundError: torch-fidelity is not installed.
        WeightsUnavailableError: Its weights could not be loaded.
    """
    try:
        import torch_fidelity
        from torch_fidelity.utils import create_feature_extractor
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The extractor {name!r} is a network of the package torch-fidelity, which is not "
            "installed: pip install torch-fidelity."
        ) from error
    network, layer = LAYERS[name]
    try:
        made = create_feature_extractor(network, [layer], cuda=False, verbose=False)
    except Exception as error:  # whatever a download can end in
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise WeightsUnavailableError(
            f"The weights of {name!r} could not be loaded ({reason}). They come from the "
            "internet: try again where there is one, or choose an extractor of the course."
        ) from error
    return OthersExtractor(name, made, torch_fidelity.__version__)
