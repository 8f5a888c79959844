"""Does it pay to decode and resize every picture once?

The same 512-pixel JPEGs become the same batches in two ways: decoded anew in every epoch, as
the Hugging Face butterflies tutorial does through `with_transform`, and from the bytes that
`prepare` keeps. Both in one process, one after the other, a few epochs each.

    python benchmarks/data.py
"""

import platform
import time
from collections.abc import Callable
from io import BytesIO

import torch
from datasets import ClassLabel, Dataset, Features, Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from course_utils.data import draw, prepare

PICTURES, PIXELS, SIZE, BATCH, EPOCHS = 96, 512, 64, 16, 3


def jpegs() -> Dataset:
    """Drawn butterflies, stored as JPEG files are: compressed, and larger than needed."""
    images = []
    for seed in range(PICTURES):
        buffer = BytesIO()
        draw("butterflies", seed % 8, seed, PIXELS).save(buffer, "JPEG", quality=90)
        images.append({"bytes": buffer.getvalue(), "path": None})
    features = Features({"image": Image(), "label": ClassLabel(names=["butterfly"])})
    return Dataset.from_dict({"image": images, "label": [0] * PICTURES}, features=features)


def batches_per_second(epoch: Callable[[int], int]) -> float:
    """The speed of an epoch that tells how many batches it gave; a first one is not timed."""
    epoch(0)
    started = time.perf_counter()
    batches = sum(epoch(number) for number in range(1, EPOCHS + 1))
    return batches / (time.perf_counter() - started)


def main() -> None:
    """Measure both ways and print the table."""
    dataset = jpegs()
    steps = [v2.Resize([SIZE, SIZE], v2.InterpolationMode.BICUBIC), v2.RandomHorizontalFlip()]
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    transform = v2.Compose(steps)
    anew = dataset.with_transform(
        lambda rows: {"images": [transform(image.convert("RGB")) for image in rows["image"]]}
    )
    loader = DataLoader(anew, batch_size=BATCH, shuffle=True)

    started = time.perf_counter()
    tensors = prepare(dataset, SIZE, flip=True)
    once = time.perf_counter() - started
    # The same pictures: what the network is given differs by rounding to bytes alone.
    plain = v2.Compose([step for step in steps if not isinstance(step, v2.RandomHorizontalFlip)])
    as_bytes = tensors.images[0] / 127.5 - 1
    assert (plain(dataset[0]["image"]) - as_bytes).abs().max() < 2 / 127.5

    def decoded_anew(epoch: int) -> int:
        return sum(len(batch["images"]) == BATCH for batch in loader)

    def from_memory(epoch: int) -> int:
        generator = torch.Generator().manual_seed(epoch)
        rows = torch.randperm(PICTURES, generator=generator).split(BATCH)
        return sum(len(tensors.batch(some, generator)[0]) == BATCH for some in rows)

    slow, fast = batches_per_second(decoded_anew), batches_per_second(from_memory)
    stored = tensors.images.nbytes / PICTURES * 1000 / 1e6
    threads = torch.get_num_threads()
    print(f"{PICTURES} JPEGs of {PIXELS} px to batches of {BATCH} at {SIZE} px, {EPOCHS} epochs")
    print(f"{platform.machine()}, {threads} thread(s), torch {torch.__version__}\n")
    print(f"{'':34}{'batches/s':>10}")
    print(f"{'decoded anew (with_transform)':34}{slow:>10,.1f}")
    print(f"{'from memory (prepare, batch)':34}{fast:>10,.1f}")
    print(f"{'times as fast':34}{fast / slow:>10,.0f}")
    print(f"{'prepare, once, in seconds':34}{once:>10.2f}")
    print(f"{'megabytes per 1,000 pictures':34}{stored:>10.1f}")


if __name__ == "__main__":
    main()
