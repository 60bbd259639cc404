"""The peer's side of `objectives.py`: one of lightly's methods on PyTorch, one batch kept; answers `drive.Worker`.

Runs in the peers' environment. Each method is written as on lightly's own page of it: heads, loss, momentum update and
optimiser. Two views a step for all of them.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time

import lightly_worker  # its import makes torchvision work beside a CPU build of PyTorch
import torch
from lightly.loss import BarlowTwinsLoss, DINOLoss, NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from lightly.models import modules
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn


class Method(nn.Module):
    """Abstract: a backbone and what a method adds to it."""

    def __init__(self, stem: str) -> None:
        super().__init__()
        self.backbone = lightly_worker.Network(stem).backbone

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled features of a batch."""
        return self.backbone(x).flatten(start_dim=1)

    def follow(self, step: nn.Module, average: nn.Module, momentum: float) -> None:
        """Move a slow copy after its original."""
        update_momentum(step, average, m=momentum)


def slow_copy(module: nn.Module) -> nn.Module:
    """A copy that gets no gradient."""
    copied = copy.deepcopy(module)
    deactivate_requires_grad(copied)
    return copied


class SimCLR(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector, self.criterion = modules.SimCLRProjectionHead(512, 512, 128), NTXentLoss()

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        return self.criterion(self.projector(self.features(x0)), self.projector(self.features(x1)))


class MoCo(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector = modules.MoCoProjectionHead(512, 512, 128)
        self.slow, self.slow_projector = slow_copy(self.backbone), slow_copy(self.projector)
        self.criterion = NTXentLoss(memory_bank_size=(4096, 128))

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        self.follow(self.backbone, self.slow, 0.99)
        self.follow(self.projector, self.slow_projector, 0.99)
        query = self.projector(self.features(x0))
        key = self.slow_projector(self.slow(x1).flatten(start_dim=1)).detach()
        return self.criterion(query, key)


class BYOL(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector = modules.BYOLProjectionHead(512, 1024, 256)
        self.predictor = modules.BYOLPredictionHead(256, 1024, 256)
        self.slow, self.slow_projector = slow_copy(self.backbone), slow_copy(self.projector)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        self.follow(self.backbone, self.slow, 0.99)
        self.follow(self.projector, self.slow_projector, 0.99)
        p0, p1 = (self.predictor(self.projector(self.features(x))) for x in (x0, x1))
        z0, z1 = (self.slow_projector(self.slow(x).flatten(start_dim=1)).detach() for x in (x0, x1))
        return 0.5 * (self.criterion(p0, z1) + self.criterion(p1, z0))


class SimSiam(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector = modules.SimSiamProjectionHead(512, 512, 128)
        self.predictor = modules.SimSiamPredictionHead(128, 64, 128)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        z0, z1 = (self.projector(self.features(x)) for x in (x0, x1))
        p0, p1 = self.predictor(z0), self.predictor(z1)
        return 0.5 * (self.criterion(z0.detach(), p1) + self.criterion(z1.detach(), p0))


class BarlowTwins(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector, self.criterion = modules.BarlowTwinsProjectionHead(512, 2048, 2048), BarlowTwinsLoss()

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        return self.criterion(self.projector(self.features(x0)), self.projector(self.features(x1)))


class VICReg(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector = heads.VICRegProjectionHead(512, 2048, 2048, num_layers=2)
        self.criterion = VICRegLoss()

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        return self.criterion(self.projector(self.features(x0)), self.projector(self.features(x1)))


class DINO(Method):
    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self.projector = modules.DINOProjectionHead(512, 512, 64, 2048)
        self.slow = slow_copy(self.backbone)
        self.slow_projector = modules.DINOProjectionHead(512, 512, 64, 2048)  # its weight norm cannot be copied
        deactivate_requires_grad(self.slow_projector)
        self.criterion = DINOLoss(output_dim=2048, warmup_teacher_temp_epochs=5)

    def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        self.follow(self.backbone, self.slow, 0.99)
        self.follow(self.projector, self.slow_projector, 0.99)
        teacher = [self.slow_projector(self.slow(x).flatten(start_dim=1)).detach() for x in (x0, x1)]
        student = [self.projector(self.features(x)) for x in (x0, x1)]
        return self.criterion(teacher, student, epoch=0)


METHODS: dict[str, type[Method]] = {
    "contrastive": SimCLR,
    "momentum": MoCo,
    "byol": BYOL,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "vicreg": VICReg,
    "dino": DINO,
}


def main() -> None:
    """Set up, warm up, say so, then train a number of steps for each line of input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("objective", choices=sorted(METHODS))
    parser.add_argument("--stem", default="imagenet")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=512)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = METHODS[args.objective](args.stem)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.06)
    kept = [torch.rand(args.batch, 3, 32, 32) for _ in range(2)]

    def work() -> None:
        total = torch.zeros(())
        for _ in range(args.images // args.batch):
            loss = model(*kept)
            total += loss.detach()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        assert torch.isfinite(total)

    work()
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    print(json.dumps({"parameters": count}), flush=True)
    for _ in sys.stdin:
        start, busy = time.perf_counter(), time.process_time()
        work()
        answer = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy, "images": args.images}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
