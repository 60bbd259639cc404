"""Checks that a spec and the code that it names say the same."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any

from kptk.errors import UsageError
from kptk.testing.checks import Function, Subject, only_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from kptk.spec import Option

GIVEN_BY_KPTK = {
    "objective": ("backbone", "views", "num_classes"),
    "backbone": ("input_shape",),
    "preprocessor": ("views", "seed", "state"),
    "strategy": ("backbone", "task", "preprocessor", "augment"),
    "task": ("class_names", "row_shape"),
    "dataset": ("path",),
    "tracker": (),
}
"""Arguments of each kind's target that are no options."""


def target_imports(subject: Subject) -> None:
    """The modules that the target and `refuses` name can be imported and have the attributes."""
    _load(subject)
    if light := getattr(subject.spec, "refuses", ""):
        module, _, name = light.partition(":")
        assert callable(getattr(importlib.import_module(module), name, None)), f"there is no function {light}"


def target_is_of_the_right_kind(subject: Subject) -> None:
    """A final `Pretrainer`, `Preprocessor`, `Strategy`, `Task` or `Tracker`; the target of another kind is called."""
    target = _load(subject)
    assert callable(target), f"{subject.spec.target} must be a class or function. Received: {target!r}"
    base = _base_class(subject.spec.kind)
    if base is None:
        return
    assert inspect.isclass(target), f"{subject.spec.target} must be a class. Received: {target!r}"
    assert issubclass(target, base), f"{subject.spec.target} must be a subclass of {base.__name__}"
    missing = sorted(getattr(target, "__abstractmethods__", ()))
    assert not missing, f"{subject.spec.target} lacks {', '.join(missing)}"


def options_match_signature(subject: Subject) -> None:
    """The options are the target's own arguments: the same names in the same order with the same defaults."""
    arguments = {
        name: parameter.default
        for name, parameter in inspect.signature(_load(subject)).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in GIVEN_BY_KPTK[subject.spec.kind]
    }
    options = {option.name: option.default for option in _own_options(subject)}
    assert list(options) == list(arguments), (
        f"the spec's options are {', '.join(options) or 'none'}, "
        f"the arguments of {subject.spec.target} are {', '.join(arguments) or 'none'}"
    )
    for name, default in arguments.items():
        same = type(default) is type(options[name]) and default == options[name]
        assert same, f"`{name}`: the default is {default!r} in the code and {options[name]!r} in the spec"


def bad_option_is_refused(subject: Subject) -> None:
    """A value outside an option's rule is refused, and so is an option that does not exist."""
    for option in subject.spec.options:
        for value in _bad_values(option):
            try:
                subject.spec.build(**{option.name: value})
            except UsageError:
                continue
            raise AssertionError(f"`{option.name}` must be {option.rule}, but {value!r} was taken")
    try:
        _build_with_unknown_option(subject)
    except (TypeError, ValueError, UsageError):
        return
    raise AssertionError(f"{subject.spec.target} takes an argument that it does not know: no_such_option=1")


def docstring_covers_every_option(subject: Subject) -> None:
    """The ``Args:`` of the target's docstring describe every option."""
    target = _load(subject)
    described = _described(inspect.getdoc(target) or "")
    if inspect.isclass(target):
        described |= _described(inspect.getdoc(target.__init__) or "")
    missing = [option.name for option in _own_options(subject) if option.name not in described]
    assert not missing, f"the docstring of {subject.spec.target} does not describe {', '.join(missing)}"


@only_for("objective")
def has_a_reference(subject: Subject) -> None:
    """An objective names the paper that it implements."""
    assert subject.spec.references, "the spec has no references"


def _load(subject: Subject) -> Callable[..., Any]:
    from kptk.training import backend

    backend.import_keras()
    target: Callable[..., Any] = subject.spec.load()
    return target


def _own_options(subject: Subject) -> list[Option]:
    """The options that the target takes; an objective's number of views goes to the preprocessor."""
    given = GIVEN_BY_KPTK[subject.spec.kind]
    return [option for option in subject.spec.options if option.name not in given]


def _base_class(kind: str) -> type | None:
    if kind == "objective":
        from kptk.training.pretrainer import Pretrainer

        return Pretrainer
    if kind == "preprocessor":
        from kptk.training.preprocessor import Preprocessor

        return Preprocessor
    if kind == "strategy":
        from kptk.training.strategy import Strategy

        return Strategy
    if kind == "task":
        from kptk.training.task import Task

        return Task
    if kind == "tracker":
        from kptk.training.tracker import Tracker

        return Tracker
    return None


def _bad_values(option: Option) -> list[Any]:
    """A value of another type, and one beyond each bound."""
    bad: list[Any] = [{"not": "a value"}]
    if option.choices:
        bad.append("not one of the choices")
    if option.low is not None:
        bad.append(option.type(option.low - 1))
    if option.high is not None:
        bad.append(option.type(option.high + 1))
    if option.above is not None:
        bad.append(option.type(option.above))
    return bad


def _build_with_unknown_option(subject: Subject) -> None:
    from kptk.testing import toys

    spec = subject.spec
    match spec.kind:
        case "objective":
            toys.build_objective(subject, no_such_option=1)
        case "backbone":
            spec.build(input_shape=toys.toy(toys.kind_of(spec)).shape(spec.min_size), no_such_option=1)
        case "preprocessor":
            spec.build(views=2, seed=0, no_such_option=1)
        case "dataset":
            spec.build(**({"path": "."} if spec.reads else {}), no_such_option=1)
        case "tracker":
            spec.build(no_such_option=1)
        case "task":
            spec.build(class_names=("a", "b"), row_shape=(8, 8, 3), no_such_option=1)
        case "strategy":
            from kptk.testing import finetune_checks

            finetune_checks.build_strategy(subject, no_such_option=1)


def _described(docstring: str) -> set[str]:
    """Names that a Google-style ``Args:`` section describes."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", docstring, re.MULTILINE)
    if not section:
        return set()
    return set(re.findall(r"^\s+\*{0,2}(\w+)(?:\s*\([^)]*\))?:", section.group(1), re.MULTILINE))


CHECKS: tuple[Function, ...] = (
    target_imports,
    target_is_of_the_right_kind,
    options_match_signature,
    bad_option_is_refused,
    docstring_covers_every_option,
    has_a_reference,
)
