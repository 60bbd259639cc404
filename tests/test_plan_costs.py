"""Fits, recommendations and operations counted by a plan."""

from __future__ import annotations

import pytest

from kptk.cli.plan import parse_memory, parse_time
from kptk.config import resolve
from kptk.errors import RunError, UsageError
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.training.planning import measuring, plan
from kptk.training.planning.costs import Candidate, Line, power
from kptk.training.planning.recommend import batch_for, recommend

PLUGINS = Plugins()


def candidate(
    backbone: str = "example_cnn",
    *,
    base: float = 0.01,
    slope: float = 0.001,
    memory: float = 500.0,
    each: float = 2.0,
    flops: int = 10**6,
    rows: int = 6400,
    objective: str = "contrastive",
) -> Candidate:
    config = resolve(PLUGINS, Request(recipe=objective, names={"backbone": backbone}, data="mnist10k"))
    points = [
        {"batch_size": b, "step_seconds": base + slope * b, "peak_mb": memory + each * b, "epoch_seconds": 0.5}
        for b in (64, 128, 256)
    ]
    return Candidate(
        objective=config.objective.id,
        backbone=config.backbone.id,
        config=config,
        rows=rows,
        parameters=flops // 100,
        trained=flops // 50,
        flops=flops,
        views=2,
        fixed_seconds=10.0,
        points=points,
    )


def test_a_line_is_recovered_and_never_falls_below_zero() -> None:
    line = Line.fit([64, 128, 256], [0.1 + 0.002 * b for b in (64, 128, 256)])
    assert (line.base, line.slope) == pytest.approx((0.1, 0.002))
    assert Line.fit([10], [5.0]) == Line(0.0, 0.5)
    assert Line.fit([1, 2], [1.0, 3.0]).base == 0  # steeper than through 0
    level = Line.fit([1, 2], [3.0, 2.9])
    assert level.slope == 0 and level.base == pytest.approx(2.95)


def test_powers() -> None:
    assert power(1.0, 8.0, 2.0) == pytest.approx(3)
    assert power(4.0, 1.0, 0.5) == pytest.approx(2)


def test_predictions_are_start_steps_and_checks() -> None:
    one = candidate()
    assert one.step_seconds(128) == pytest.approx(0.138)
    assert one.memory_mb(512) == pytest.approx(1524)
    assert one.epoch_seconds(64) == pytest.approx(100 * 0.074 + 0.5)
    assert one.seconds(64, 3) == pytest.approx(10 + 3 * 7.9)
    assert one.epochs_within(64, 10 + 3 * 7.9 + 0.1) == 3
    assert one.epochs_within(64, 5) == 0


def test_the_batch_is_the_fastest_that_fits() -> None:
    fixed = candidate(base=0.1)  # the larger the batch, the less its fixed cost weighs
    assert batch_for(fixed, (64, 128, 256), 10_000) == 256
    assert batch_for(fixed, (64, 128, 256), 850) == 128  # 756 MB of 765 that may be used
    assert batch_for(fixed, (64, 128, 256), 300) == 0
    assert batch_for(candidate(base=0.0001), (64, 128, 256), 10_000) == 64  # nothing gained, memory lost
    assert batch_for(candidate(base=0.1, rows=100), (64, 128), 10_000) == 64


def test_the_largest_backbone_that_makes_the_epochs_is_taken() -> None:
    small, middle, large = (
        candidate("example_cnn", flops=10**6, slope=1e-4),
        candidate("resnet18", flops=10**8, slope=1e-3),
        candidate("resnet50", flops=10**9, slope=1e-2),
    )
    choice = recommend([small, middle, large], (64, 128, 256), seconds=600, memory_mb=8000, epochs=20)
    assert choice is not None
    assert choice.candidate is middle and choice.epochs == 20
    assert "resnet18 is the largest of 3 backbones that makes 20 epochs" in choice.reason
    assert "vision/resnet50 would take" in choice.reason
    assert choice.config.train.values["epochs"] == 20
    assert choice.config.train.values["batch_size"] == choice.batch_size
    assert choice.candidate.seconds(choice.batch_size, 20) <= 600


def test_too_little_time_is_said_with_what_it_would_take() -> None:
    choice = recommend([candidate("resnet50", slope=1e-2)], (64, 128), seconds=300, memory_mb=8000, epochs=100)
    assert choice is not None and 1 <= choice.epochs < 100
    assert "No backbone makes 100 epochs" in choice.reason and "or give it" in choice.reason


def test_too_little_memory_recommends_nothing() -> None:
    assert recommend([candidate(memory=9000)], (64, 128), seconds=1e6, memory_mb=8000) is None


def test_the_first_objective_is_recommended_for() -> None:
    rows = [candidate(objective="byol"), candidate(objective="contrastive")]
    choice = recommend(rows, (64, 128), seconds=1e5, memory_mb=8000, epochs=2)
    assert choice is not None and choice.candidate.objective == "noncontrastive/byol"


def test_times_and_memory_are_read() -> None:
    assert parse_time("30m") == 1800 and parse_time("2 h") == 7200
    assert parse_memory("8GB") == 8192 and parse_memory("500 mb") == 500
    for text in ("30", "3epochs", "soon"):
        with pytest.raises(UsageError, match="`time` must be"):
            parse_time(text)
    for text in ("8", "0GB", "lots"):
        with pytest.raises(UsageError, match="`memory` must be"):
            parse_memory(text)


def test_candidates_that_do_not_fit_are_named_and_left_out() -> None:
    found, misfits = measuring.candidates(PLUGINS, ["contrastive", "mae"], ["resnet18", "vit_tiny"], "mnist10k", [])
    assert [(c.objective.id, c.backbone.id) for c in found] == [
        ("contrastive/contrastive", "vision/resnet18"),
        ("contrastive/contrastive", "vision/vit_tiny"),
        ("masked/masked", "vision/vit_tiny"),
    ]
    assert len(misfits) == 1 and "works on patches" in misfits[0]
    with pytest.raises(UsageError, match="no candidate fits"):
        measuring.candidates(PLUGINS, ["mae"], ["resnet18"], "mnist10k", [])
    with pytest.raises(UsageError, match=r"no candidate has an option 'objective\.temprature'"):
        measuring.candidates(PLUGINS, ["contrastive"], [], "mnist10k", [Setting("objective.temprature", 1.0)])


def test_one_failure_leaves_the_rest_and_all_failures_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from kptk.training import planning
    from kptk.training.reporter import Reporter

    def measured(config, sizes, *, growth):
        if config.backbone.id == "vision/resnet50":
            raise RunError("out of memory")
        return candidate("example_cnn")

    monkeypatch.setattr(planning, "measure_candidate", measured)
    found = plan("mnist10k", ["contrastive"], ["example_cnn", "resnet50"], reporter=Reporter())
    assert len(found.rows) == 1
    assert any("vision/resnet50 could not be measured: out of memory" in note for note in found.notes)
    with pytest.raises(RunError, match="nothing could be measured"):
        plan("mnist10k", ["contrastive"], ["resnet50"], reporter=Reporter())


def test_the_recommended_toml_is_a_run(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kptk.request import from_toml
    from kptk.training import planning
    from kptk.training.reporter import Reporter

    monkeypatch.setattr(planning, "measure_candidate", lambda config, sizes, *, growth: candidate("resnet18"))
    found = plan("mnist10k", ["contrastive"], ["resnet18"], epochs=7, memory_mb=8000, seconds=1e6, reporter=Reporter())
    path = tmp_path / "plan.toml"
    path.write_text(found.to_toml(), encoding="utf-8")
    assert found.choice is not None
    assert path.read_text().startswith(f"# {found.choice.reason}\n")
    config = resolve(PLUGINS, from_toml(path))
    assert config.backbone.id == "vision/resnet18"
    assert config.train.values["epochs"] == 7
