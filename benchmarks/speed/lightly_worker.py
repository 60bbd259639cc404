"""The peer's side of a comparison: lightly's SimCLR on PyTorch, or its views alone; answers `drive.Worker`.

Runs in the peers' environment. Network, loss, projector, views and optimiser are those of lightly's own SimCLR page;
the images are in memory and the loader's workers stay alive between rounds, which is kind to it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn


def allow_cpu_torchvision() -> torch.library.Library:
    """Let a torchvision that was built for CUDA import beside a CPU build of PyTorch.

    Its native operators (box suppression and the like) cannot load there, and its import stops at the first of them.
    Naming the two that it looks for is enough; views and networks are pure Python and use neither.
    """
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


try:
    import torchvision
except RuntimeError:
    for module in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[module]
    _LIBRARY = allow_cpu_torchvision()
    import torchvision

from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform


class Images(torch.utils.data.Dataset):
    """Images in memory, as torchvision's small data sets keep them: PIL images made on access."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.transform = SimCLRTransform(input_size=32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.fromarray(self.images[index]))


class Network(nn.Module):
    """torchvision's ResNet-18 and lightly's projector."""

    def __init__(self, stem: str) -> None:
        super().__init__()
        resnet = torchvision.models.resnet18()
        if stem == "small":
            resnet.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            resnet.maxpool = nn.Identity()
        self.backbone = nn.Sequential(*list(resnet.children())[:-1])
        self.projector = SimCLRProjectionHead(512, 512, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Projections of a batch."""
        return self.projector(self.backbone(x).flatten(start_dim=1))


def work_of(args: argparse.Namespace) -> tuple[Callable[[], None], dict[str, Any]]:
    """One epoch over the images: views alone, training on one batch kept, or both."""
    images = np.random.default_rng(0).integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    loader = torch.utils.data.DataLoader(
        Images(images),
        batch_size=args.batch,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    if args.mode == "views":

        def views() -> None:
            for _ in loader:
                pass

        return views, {}
    model = Network(args.stem)
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    kept = [torch.rand(args.batch, 3, 32, 32) for _ in range(2)]

    def train() -> None:
        total = torch.zeros(())
        for x0, x1 in loader if args.mode == "fit" else [kept] * len(loader):
            loss = criterion(model(x0), model(x1))
            total += loss.detach()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return train, {"parameters": sum(weight.numel() for weight in model.parameters())}


def cpu_seconds() -> float:
    """Processor time of this process and of the children that it keeps, such as a loader's workers."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path("/proc", child, "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Set up, warm up, say so, then work once for each line of input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", nargs="?", default="fit", choices=("fit", "train", "views"))
    parser.add_argument("--stem", default="small")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="only see that everything imports and works")
    args = parser.parse_args()
    if args.check:
        first, second = SimCLRTransform(input_size=32)(Image.new("RGB", (32, 32)))
        loss = NTXentLoss()(*(Network("small")(torch.stack([view, view])) for view in (first, second)))
        print(f"torch {torch.__version__}, torchvision {torchvision.__version__}: views and loss work ({loss:.3f})")
        return
    work, facts = work_of(args)
    work()
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        start, busy = time.perf_counter(), cpu_seconds()
        work()
        answer = {"seconds": time.perf_counter() - start, "cpu": cpu_seconds() - busy, "images": args.images}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
