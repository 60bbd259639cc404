"""A run's configuration: three spellings of one thing, and the refusal of what is wrong."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from kptk import assembly, spellings
from kptk.config import RunConfig, locate, resolve
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.request import Request, Setting, from_table, from_toml, parse_setting


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins()


def config_of(plugins: Plugins, *settings: str, **said: object) -> RunConfig:
    said = {"recipe": "contrastive", **said}
    return resolve(plugins, Request(settings=tuple(parse_setting(text) for text in settings), **said))


def test_every_option_is_filled_in(plugins) -> None:
    config = config_of(plugins)
    for _, part in config.sections():
        assert all(name in part.values for name in part.values)
    assert config.objective.id == "contrastive/contrastive"
    assert config.backbone.values == {"filters": 32, "units": 128, "dropout": 0.2}
    assert config.train.values["epochs"] == 30  # the recipe's, not the option's own default


def test_a_backbone_suggests_what_suits_it_until_it_is_swapped_or_overruled(plugins) -> None:
    assert config_of(plugins).train.values["learning_rate"] == 3e-3  # the example CNN's
    assert config_of(plugins, names={"backbone": "mlp"}).train.values["learning_rate"] == 1e-3
    assert config_of(plugins, "train.learning_rate=0.002").train.values["learning_rate"] == 2e-3


def test_last_word_wins_default_recipe_data_file_command_line(plugins, tmp_path) -> None:
    assert config_of(plugins).preprocessor.values["flip"] == 0.0  # digits: suggested by the data set
    images = tmp_path / "x.npy"
    np.save(images, np.zeros((300, 8, 8), "uint8"))
    assert config_of(plugins, data=str(images)).preprocessor.values["flip"] == 0.5  # the option's default
    file = tmp_path / "run.toml"
    file.write_text('recipe = "contrastive"\n[train]\nepochs = 7\nseed = 3\n')
    said = Request(settings=(Setting("train.epochs", "9", text=True),)).over(from_toml(file))
    assert resolve(plugins, said).train.values["epochs"] == 9
    assert resolve(plugins, said).train.values["seed"] == 3


def test_options_of_a_replaced_part_go_with_it() -> None:
    base = Request(
        names={"backbone": "example_cnn", "objective": "contrastive", "data": "mnist10k"},
        settings=(
            Setting("backbone.filters", 4),
            Setting("objective.temperature", 0.4),
            Setting("data.limit", 50),
            Setting("train.epochs", 3),
        ),
    )
    said = Request(names={"backbone": "other.keras", "objective": "contrastive"}, data="target.npz")
    assert [setting.key for setting in said.over(base).settings] == ["objective.temperature", "train.epochs"]
    assert said.over(base).names["backbone"] == "other.keras"


def test_recipe_settings_do_not_reach_a_part_that_was_swapped(plugins) -> None:
    config = config_of(plugins, names={"backbone": "resnet18"})
    assert config.backbone.values == {"stem": "auto", "width": 64}


@pytest.mark.parametrize(
    "settings",
    [(), ("temperature=0.3", "train.epochs=3"), ("backbone.units=64", "deterministic=false", "noise=0.25")],
)
def test_toml_command_line_and_python_mean_the_same(plugins, tmp_path, settings) -> None:
    config = config_of(plugins, *settings)
    file = tmp_path / "config.toml"
    file.write_text(spellings.to_toml(config))
    assert resolve(plugins, from_toml(file)) == config

    words = spellings.to_command(plugins, config).split()[2:]
    assert words[:2] == ["--plugin", "contrastive"]
    flags = {"--epochs": "train.epochs", "--seed": "train.seed"}
    pairs = list(zip(words[2::2], words[3::2], strict=True))
    parsed = [parse_setting(v) if f == "-o" else Setting(flags[f], v, text=True) for f, v in pairs]
    assert resolve(plugins, Request(recipe="contrastive", settings=tuple(parsed))) == config

    call = ast.parse(spellings.to_python(plugins, config)).body[-1].value
    options = next((ast.literal_eval(k.value) for k in call.keywords if k.arg == "options"), {})
    again = [Setting(key, value) for key, value in options.items()]
    assert resolve(plugins, Request(recipe=ast.literal_eval(call.args[0]), settings=tuple(again))) == config


def test_table_round_trips(plugins) -> None:
    config = config_of(plugins, "temperature=0.7")
    assert resolve(plugins, from_table(config.to_table(), "here")) == config


@pytest.mark.parametrize(
    ("setting", "part_of_message"),
    [
        ("temprature=1", "Did you mean 'temperature'?"),
        ("objective.temprature=1", "contrastive/contrastive has no option 'temprature'; it has: temperature"),
        ("objektive.temperature=1", "Did you mean 'objective'?"),
        ("limit=9", "data.limit, probe.limit"),
        ("temperature=0", "above 0"),
        ("temperature=nan", "above 0"),
        ("temperature=warm", "a number"),
        ("batch_norm=maybe", "true or false"),
        ("stem=small", "no part of this run has an option 'stem'"),
        ("train.epochs=2.5", "an integer"),
        ("schedule=triangle", "'cosine', 'linear', 'constant'"),
    ],
)
def test_wrong_settings_are_refused(plugins, setting, part_of_message) -> None:
    with pytest.raises(UsageError) as caught:
        config_of(plugins, setting)
    assert part_of_message in str(caught.value)


def test_setting_without_equals_sign_is_refused() -> None:
    with pytest.raises(UsageError, match=r"part\.option=value"):
        parse_setting("temperature")


def test_unknown_section_of_a_file_is_refused(tmp_path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[trian]\nepochs = 3\n")
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        from_toml(file)


@pytest.mark.parametrize("content", ["epochs = ", "\xff\xfe"])
def test_unreadable_file_is_refused(tmp_path, content) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="not a readable TOML file"):
        from_toml(file)


def test_missing_data_is_refused(plugins, tmp_path) -> None:
    for data in (str(tmp_path / "nothing"), "./nothing.npz", "mnist01k"):
        with pytest.raises(InputError, match="no file"):
            locate(plugins, data)
    with pytest.raises(InputError, match="Did you mean 'mnist10k'"):
        locate(plugins, "mnist01k")
    odd = tmp_path / "data.xyz"
    odd.touch()
    with pytest.raises(InputError, match=r"Readable: .*\.npz"):
        locate(plugins, str(odd))


def test_a_run_needs_an_objective(plugins) -> None:
    with pytest.raises(UsageError, match="--plugin NAME"):
        resolve(plugins, Request())


def assembly_of(tmp_path, objective=None, backbone=None, preprocessor="", dataset=None, settings=()) -> RunConfig:
    from kptk.discovery import Found, Loaded, Offer
    from kptk.spec import BackboneSpec, DatasetSpec, ObjectiveSpec, PreprocessorSpec

    specs = [
        ObjectiveSpec(name="o", **(objective or {})),
        BackboneSpec(name="b", **(backbone or {})),
        DatasetSpec(name="d", **(dataset or {})),
    ]
    if preprocessor:
        specs.append(PreprocessorSpec(name="p", **ast.literal_eval(preprocessor)))
    found = Found(name="fake", distribution="kptk-fake", version="1", value="fake", entry_point=None)
    loaded = Loaded(found, offers=[Offer(spec=spec, plugin="fake", label="kptk-fake 1") for spec in specs])
    registry = Plugins()
    registry.__dict__["_found"] = ([found], [])
    registry.__dict__["loaded"] = [loaded]
    names = {"objective": "o", "backbone": "b"} | ({"preprocessor": "p"} if preprocessor else {})
    return resolve(registry, Request(names=names, data="d", settings=tuple(map(parse_setting, settings))))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            {"objective": {"inputs": ("text",)}},
            "objective fake/o works on text but backbone fake/b takes image",
        ),
        ({"dataset": {"inputs": "table"}}, "backbone fake/b takes image but data fake/d holds table"),
        ({"objective": {"views": 2}}, "needs 2 views of each example but there is no preprocessor"),
        (
            {"objective": {"views": 2}, "preprocessor": "{'views': 3}"},
            "needs 2 views of each example but preprocessor fake/p makes 3",
        ),
        (
            {"preprocessor": "{'inputs': 'text'}"},
            "preprocessor fake/p takes text but backbone fake/b takes image",
        ),
        ({"objective": {"labels": True}}, "learns from labels but data fake/d has none"),
        (
            {"objective": {"features": "sequence"}},
            "needs a backbone that returns a sequence but fake/b returns a vector",
        ),
        ({"objective": {"min_batch": 8}, "settings": ("batch_size=4",)}, "needs at least 8 examples a step"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, parts, sentence) -> None:
    with pytest.raises(UsageError) as caught:
        assembly.check(assembly_of(tmp_path, **parts))
    assert sentence in str(caught.value)


def test_parts_that_fit_pass(tmp_path) -> None:
    assembly.check(assembly_of(tmp_path))
    assembly.check(assembly_of(tmp_path, objective={"views": 2}, preprocessor="{'views': 0}"))


@pytest.mark.parametrize(
    ("objective", "y", "sentence"),
    [
        ({"labels": True}, None, r"fake/o learns from labels, and array: 4 rows of 2, no labels. Use a folder"),
        ({"labels": True}, [1, 1, 1, 1], "all rows are of one class in array"),
        ({"labels": True, "labels_optional": True}, [1, 1, 1, 1], "all rows are of one class in array"),
        ({"labels": True}, [0, 1, 0, 1], ""),
        ({"labels": True, "labels_optional": True}, None, ""),
        ({}, None, ""),
        ({}, [1, 1, 1, 1], ""),
    ],
)
def test_data_without_the_labels_that_an_objective_needs_is_refused(tmp_path, objective, y, sentence) -> None:
    import numpy as np

    from kptk.data import ArraySource

    config = assembly_of(tmp_path, objective=objective, dataset={"labels": True})
    source = ArraySource(np.zeros((4, 2)), None if y is None else np.array(y))
    if not sentence:
        assembly.check_labels(config, source)
        return
    with pytest.raises(InputError, match=sentence):
        assembly.check_labels(config, source)


def test_optional_labels_fit_data_that_has_none(tmp_path) -> None:
    assembly.check(assembly_of(tmp_path, objective={"labels": True, "labels_optional": True}))
