"""How much faster and smaller is our U-Net than the straightforward one?

Both are the same network with the same weights; only the attention differs. The straightforward
one multiplies queries and keys into the full matrix of places by places, takes the softmax of it,
and multiplies with the values. At 64×64 pixels the topmost level has 4,096 places, so that one
such matrix holds 16.8 million numbers for each head of each picture.

Each measurement is a process of its own, since the peak memory of a process never falls again.
From the repository's root: ``python -m benchmarks.unet``.
"""

import json
import subprocess
import sys
import time

import psutil
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.chapter import peak_memory
from course_utils.models import Attention, UNet

DIMS, SIZE, BATCH, STEPS, TURNS = (32, 64, 128, 256), 64, 4, 3, 3


class PlainAttention(Attention):
    """The same layer written as its formula reads, with the full matrix in memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape (N, C, H, W) in and out."""
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        normed = (x - mean) * (variance + self.norm.eps).rsqrt()
        normed = normed * self.norm.weight[:, None, None]
        qkv = F.conv2d(normed, self.to_qkv.weight[:, :, None, None])
        q, k, v = qkv.flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)  # (N, heads, d, L)
        similarity = torch.einsum("nhdi,nhdj->nhij", q * q.shape[2] ** -0.5, k)
        heard = torch.einsum("nhij,nhdj->nhid", similarity.softmax(dim=-1), v)
        joined = heard.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])
        return x + F.conv2d(joined, self.to_out.weight[:, :, None, None], self.to_out.bias)


def network(kind: str) -> UNet:
    """Ours, or the same with its attention replaced; the same weights every time."""
    torch.manual_seed(0)
    model = UNet(hidden_dims=DIMS, image_size=SIZE)
    for part in model.modules():
        if kind == "straightforward" and isinstance(part, Attention):
            part.__class__ = PlainAttention
    return model


def worst_difference(device: str) -> float:
    """The largest difference between the outputs of the two networks."""
    x = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).to(device)
    with torch.inference_mode():
        kinds = ("ours", "straightforward")
        ours, plain = (network(kind).to(device)(x, 500).sample for kind in kinds)
    return (ours - plain).abs().max().item()


def measure(kind: str, device: str) -> dict[str, float]:
    """Train some steps: the quickest one's time, and the memory above that before the first."""
    torch.set_num_threads(1)  # so that a busy machine slows both alike
    model = network(kind).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    x, noise = torch.randn(2, BATCH, 3, SIZE, SIZE, device=device)
    timesteps = torch.arange(BATCH, device=device) * 200
    before = psutil.Process().memory_info().rss if device == "cpu" else 0
    times = []
    for _ in range(STEPS + 1):
        begin = time.perf_counter()
        F.mse_loss(model(x, timesteps).sample, noise).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory() - before
    return {"seconds": min(times[1:]), "bytes": peak}


def main() -> None:
    """Run the two kinds in turn, each in processes of its own, and print the table."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else "one CPU thread"
    print(f"torch {torch.__version__}, {where}, hidden_dims {DIMS}, {SIZE}×{SIZE}, batch {BATCH},")
    print(f"the quickest of {STEPS} training steps in each of {TURNS} processes, in turn\n")
    found: dict[str, list] = {"straightforward": [], "ours": []}
    for kind in list(found) * TURNS:
        command = [sys.executable, "-m", "benchmarks.unet", kind, device]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[kind].append(json.loads(done.stdout))
    table = {
        kind: [min(run["seconds"] for run in runs), max(run["bytes"] for run in runs)]
        for kind, runs in found.items()
    }
    print(f"{'':18}{'s per step':>12}{'peak GB':>12}")
    for kind, (seconds, size) in table.items():
        print(f"{kind:18}{seconds:12.2f}{size / 1e9:12.2f}")
    ratios = [ours / plain for plain, ours in zip(*table.values(), strict=True)]
    print(f"{'ratio':18}{ratios[0]:12.2f}{ratios[1]:12.2f}")
    print(f"\nlargest difference of the outputs: {worst_difference(device):.1e}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
