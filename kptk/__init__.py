"""kptk: pre-train Keras models on unlabelled data and fine-tune them on the task you have.

Nothing heavy is imported here: each public name is looked up when it is first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "BackboneSpec": "kptk.spec",
    "CommandSpec": "kptk.spec",
    "ComparisonSpec": "kptk.spec",
    "DatasetSpec": "kptk.spec",
    "ObjectiveSpec": "kptk.spec",
    "Option": "kptk.option",
    "PreprocessorSpec": "kptk.spec",
    "RecipeSpec": "kptk.spec",
    "StrategySpec": "kptk.spec",
    "TaskSpec": "kptk.spec",
    "TrackerSpec": "kptk.spec",
    "hookimpl": "kptk.hookspecs",
    "Plugins": "kptk.plugins",
    "RunConfig": "kptk.config",
    "Source": "kptk.data",
    "ArraySource": "kptk.data",
    "KptkError": "kptk.errors",
    "UsageError": "kptk.errors",
    "InputError": "kptk.errors",
    "PluginError": "kptk.errors",
    "RunError": "kptk.errors",
    "Pretrainer": "kptk.training.pretrainer",
    "HealthCallback": "kptk.training.health",
    "ProbeCallback": "kptk.training.probes",
    "backbone": "kptk.training.api",
    "objective": "kptk.training.api",
    "preprocessor": "kptk.training.api",
    "dataset": "kptk.training.api",
    "train": "kptk.training.api",
    "evaluate": "kptk.training.api",
    "compare": "kptk.training.compare",
    "plan": "kptk.training.planning",
    "embed": "kptk.training.api",
    "report": "kptk.training.api",
    "finetune": "kptk.training.finetune_api",
    "predict": "kptk.training.finetune_api",
    "export": "kptk.training.finetune_api",
    "KptkClassifier": "kptk.training.estimators",
    "KptkRegressor": "kptk.training.estimators",
    "Strategy": "kptk.training.strategy",
    "Task": "kptk.training.task",
    "Tracker": "kptk.training.tracker",
    "load_model": "kptk.training.saving",
    "transfer": "kptk.training.receipt",
}

if TYPE_CHECKING:
    from kptk.config import RunConfig as RunConfig
    from kptk.data import ArraySource as ArraySource
    from kptk.data import Source as Source
    from kptk.errors import InputError as InputError
    from kptk.errors import KptkError as KptkError
    from kptk.errors import PluginError as PluginError
    from kptk.errors import RunError as RunError
    from kptk.errors import UsageError as UsageError
    from kptk.hookspecs import hookimpl as hookimpl
    from kptk.option import Option as Option
    from kptk.plugins import Plugins as Plugins
    from kptk.spec import BackboneSpec as BackboneSpec
    from kptk.spec import CommandSpec as CommandSpec
    from kptk.spec import ComparisonSpec as ComparisonSpec
    from kptk.spec import DatasetSpec as DatasetSpec
    from kptk.spec import ObjectiveSpec as ObjectiveSpec
    from kptk.spec import PreprocessorSpec as PreprocessorSpec
    from kptk.spec import RecipeSpec as RecipeSpec
    from kptk.spec import StrategySpec as StrategySpec
    from kptk.spec import TaskSpec as TaskSpec
    from kptk.spec import TrackerSpec as TrackerSpec
    from kptk.training.api import backbone as backbone
    from kptk.training.api import dataset as dataset
    from kptk.training.api import embed as embed
    from kptk.training.api import evaluate as evaluate
    from kptk.training.api import objective as objective
    from kptk.training.api import preprocessor as preprocessor
    from kptk.training.api import report as report
    from kptk.training.api import train as train
    from kptk.training.compare import compare as compare
    from kptk.training.estimators import KptkClassifier as KptkClassifier
    from kptk.training.estimators import KptkRegressor as KptkRegressor
    from kptk.training.finetune_api import export as export
    from kptk.training.finetune_api import finetune as finetune
    from kptk.training.finetune_api import predict as predict
    from kptk.training.health import HealthCallback as HealthCallback
    from kptk.training.planning import plan as plan
    from kptk.training.pretrainer import Pretrainer as Pretrainer
    from kptk.training.probes import ProbeCallback as ProbeCallback
    from kptk.training.receipt import transfer as transfer
    from kptk.training.saving import load_model as load_model
    from kptk.training.strategy import Strategy as Strategy
    from kptk.training.task import Task as Task
    from kptk.training.tracker import Tracker as Tracker

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604  the names are strings, made below on demand


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kptk' has no attribute '{name}'")
    module = importlib.import_module(_PUBLIC[name])
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
