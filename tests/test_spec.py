"""Options and specs: what they parse, what they refuse, and that they import nothing."""

from __future__ import annotations

import dataclasses
import pickle
import sys

import pytest

from kptk import ObjectiveSpec, Option, RecipeSpec
from kptk.errors import UsageError
from kptk.spec import PLURALS, SPECS


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Option(name="t", default=0.1, above=0), "0.2", 0.2),
        (Option(name="t", default=0.1), "1e-3", 0.001),
        (Option(name="n", type=int, default=1), "-3", -3),
        (Option(name="b", type=bool, default=False), "YES", True),
        (Option(name="b", type=bool, default=True), "off", False),
        (Option(name="s", type=str, default="a"), "any text = this", "any text = this"),
        (Option(name="s", type=str, default="a", choices=("a", "b")), "b", "b"),
        (Option(name="t", default=None), "None", None),
        (Option(name="t", default=0.0, low=0, high=1), "1", 1.0),
    ],
)
def test_option_parses(option, text, value) -> None:
    parsed = option.parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("option", "text", "rule"),
    [
        (Option(name="t", default=0.1, above=0), "0", "a number above 0"),
        (Option(name="t", default=0.1), "warm", "a number"),
        (Option(name="t", default=0.1), "nan", "a number"),
        (Option(name="t", default=0.1), "none", "a number"),
        (Option(name="t", default=0.5, low=0, high=1), "1.5", "a number at least 0 and at most 1"),
        (Option(name="n", type=int, default=1, low=1), "0", "an integer at least 1"),
        (Option(name="n", type=int, default=1), "1.5", "an integer"),
        (Option(name="b", type=bool, default=False), "perhaps", "true or false"),
        (Option(name="s", type=str, default="a", choices=("a", "b")), "c", "one of 'a', 'b'"),
    ],
)
def test_option_refuses_with_its_name_rule_and_the_value(option, text, rule) -> None:
    with pytest.raises(UsageError) as caught:
        option.parse(text)
    message = str(caught.value)
    assert message.startswith(f"`{option.name}` must be {rule}. Received: ")
    assert text in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (Option(name="n", type=int, default=1), True),
        (Option(name="n", type=int, default=1), 1.0),
        (Option(name="t", default=0.1), True),
        (Option(name="t", default=0.1), "0.1"),
        (Option(name="t", default=0.1), None),
        (Option(name="b", type=bool, default=True), 1),
        (Option(name="s", type=str, default="a"), 3),
    ],
)
def test_option_refuses_python_values_of_another_type(option, value) -> None:
    with pytest.raises(UsageError):
        option.check(value)


def test_integers_are_numbers() -> None:
    checked = Option(name="t", default=0.1).check(1)
    assert (checked, type(checked)) == (1.0, float)


def spec(**fields) -> ObjectiveSpec:
    options = (Option(name="pad", type=int, default=4, low=0),)
    return ObjectiveSpec(**{"name": "x", "target": "textwrap:shorten", "options": options} | fields)


def test_loading_imports_the_target_and_making_a_spec_does_not() -> None:
    sys.modules.pop("this", None)
    made = spec(target="no_such_module_anywhere:Thing")
    assert "no_such_module_anywhere" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        made.load()
    with pytest.raises(AttributeError):
        spec(target="textwrap:no_such_name").load()


def test_build_checks_options_and_passes_the_rest_on() -> None:
    import textwrap

    width = (Option(name="width", type=int, default=70, low=6),)
    assert spec(options=width).build(text="one two three", width=7) == textwrap.shorten("one two three", 7)
    with pytest.raises(UsageError, match="`width` must be an integer at least 6"):
        spec(options=width).build(text="one two three", width=1)


def test_unknown_option_names_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        spec().option("pda")
    assert str(caught.value) == "x has no option 'pda'; it has: pad. Did you mean 'pad'?"
    assert spec().option("pad").default == 4


def test_specs_are_frozen_values() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().name = "y"
    assert spec() == spec()
    assert len({spec(), spec(), spec(name="y")}) == 2
    assert pickle.loads(pickle.dumps(spec())) == spec()
    recipe = RecipeSpec(name="r", settings={"train.epochs": 3})
    assert hash(recipe) == hash(RecipeSpec(name="r", settings={"train.epochs": 4}))


def test_every_kind_has_a_hook_of_its_plural() -> None:
    from kptk import hookspecs

    assert set(PLURALS) == set(SPECS)
    for plural in PLURALS.values():
        assert callable(getattr(hookspecs, f"kptk_{plural}"))
