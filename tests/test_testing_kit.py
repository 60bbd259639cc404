"""Every check of the kit can fail: each is shown a part that breaks just the rule that it looks after."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kptk import BackboneSpec, hookimpl
from kptk.errors import UsageError
from kptk.plugins import Plugins
from kptk.testing import Check, Skip, Subject, collect, plugin_checks, run_checks, temporary_plugins
from kptk.testing.checks import OFFER_CHECKS, PLUGIN_CHECKS, iterate

WRONG = Path(__file__).parent / "fakes" / "wrong"

FAILS = {
    "plugin": {"wrong": ("spec_fields_are_well_formed",)},
    "objective": {
        "nowhere": ("target_imports",),
        "abstract": ("target_is_of_the_right_kind",),
        "not_a_class": ("target_is_of_the_right_kind",),
        "other_default": ("options_match_signature",),
        "other_name": ("options_match_signature", "docstring_covers_every_option"),
        "takesanything": ("bad_option_is_refused",),
        "undocumented": ("docstring_covers_every_option",),
        "no_paper": ("has_a_reference",),
        "forgetsconfig": ("config_round_trips",),
        "unregistered": ("registered_under_its_package", "saves_and_loads_in_a_fresh_process"),
        "otherpackage": ("registered_under_its_package",),
        "lateweights": ("all_weights_exist_after_init",),
        "notjittable": ("call_is_jittable",),
        "halfprecision": ("mixed_bfloat16",),
        "evenbatches": ("odd_and_single_batch",),
        "infiniteloss": ("loss_is_finite",),
        "deadweight": ("gradient_reaches_every_trainable_weight",),
        "neverlearns": ("loss_falls_in_20_steps_on_toy_data",),
        "unseeded": ("same_seed_same_loss",),
    },
    "backbone": {
        "fixed_batch": ("batch_size_is_free",),
        "not_finite": ("builds_at_its_smallest_size",),
        "own_layer": ("saves_and_loads_as_plain_keras",),
        "rank_three": ("features_have_the_declared_rank",),
        "no_stages": ("stages_are_as_declared",),
    },
    "preprocessor": {
        "onetoomany": ("makes_the_number_of_views",),
        "wrongshape": ("views_are_what_a_backbone_takes",),
        "randomplain": ("plain_is_deterministic",),
        "sameviews": ("views_differ",),
        "unseededviews": ("same_seed_same_views",),
        "forgetfulviews": ("config_round_trips",),
        "unregisteredviews": ("registered_under_its_package",),
        "numpyviews": ("call_is_jittable",),
        "fitsunsaid": ("fits_what_it_says",),
    },
    "dataset": {
        "not_a_source": ("opens",),
        "too_few": ("length_is_as_declared",),
        "wrong_rows": ("rows_are_as_declared",),
        "nameless_class": ("labels_name_classes",),
        "new_every_time": ("fingerprint_is_stable",),
    },
    "strategy": {
        "thaws": ("phases_change_only_their_weights",),
        "idle": ("phases_change_only_their_weights",),
    },
    "task": {
        "a_task": ("target_is_of_the_right_kind",),
        "countsmissing": ("missing_labels_do_not_count",),
        "shortcolumns": ("predictions_have_columns_and_a_score",),
        "othermetric": ("predictions_have_columns_and_a_score",),
        "turnsnames": ("saves_and_loads",),
        "deaftask": ("fit_learns",),
    },
    "command": {
        "no_command": ("target_is_a_command",),
        "silent": ("every_argument_has_help",),
        "heavy": ("help_imports_nothing_heavy",),
    },
    "comparison": {"unknown_arm": ("arms_fit_together",)},
    "tracker": {
        "eager": ("loads_without_its_packages",),
        "unsaid": ("says_how_to_install",),
        "strays": ("keeps_everything_in_its_folder",),
        "calls": ("stays_off_the_network",),
        "onlyonce": ("goes_on_after_an_interruption",),
    },
    "recipe": {
        "part_is_missing": ("parts_fit_together",),
        "setting_is_unknown": ("settings_are_known",),
    },
}
DISCOVERY_FAILS = {
    "loads": ("kptk-hookfails", "hookfails"),
    "imports_nothing_heavy": ("kptk-heavy", "heavy"),
    "hooks_are_known": ("kptk-misspelt", "misspelt"),
    "distribution_is_named_kptk_x": ("kptk-zgood-again", "good"),
    "names_are_unique": ("kptk-wrongtype", "wrongtype"),
}
GOOD = {
    "objective": "good",
    "backbone": "good_net",
    "preprocessor": "goodviews",
    "dataset": "good_rows",
    "strategy": "goodway",
    "task": "goodtask",
    "command": "goodcommand",
    "comparison": "good",
    "tracker": "goodtracker",
    "recipe": "good",
}


@pytest.fixture(scope="module")
def checks():
    """The checks of the fake plugin by kind, offer and name. Its folder stays on the path for fresh processes."""
    sys.path.insert(0, str(WRONG))
    importlib.invalidate_caches()
    found: dict[tuple[str, str, str], Check] = {}
    for check in collect("wrong"):
        offer = check.subject.offer
        found[offer.spec.kind if offer else "plugin", offer.spec.name if offer else "wrong", check.name] = check
    yield found
    sys.path.remove(str(WRONG))


@pytest.mark.backends
@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [(kind, name, check) for kind, names in FAILS.items() for name, checks in names.items() for check in checks],
)
def test_check_catches_the_mistake(checks, kind, name, check) -> None:
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011  what is raised depends on the mistake
            checks[kind, name, check]()
    finally:
        reset_keras()
    if isinstance(caught.value, Skip):
        pytest.skip(str(caught.value))


def reset_keras() -> None:
    from kptk.training import backend

    backend.import_keras().config.set_dtype_policy("float32")


@pytest.mark.backends
def test_good_parts_pass(checks) -> None:
    wanted = [check for (kind, name, _), check in checks.items() if GOOD.get(kind) == name]
    failed = {result.id: result.message for result in iterate(wanted, {}) if not result.ok}
    assert not failed
    assert len(wanted) > 35


@pytest.mark.parametrize("check", DISCOVERY_FAILS)
def test_discovery_check_catches_the_mistake(fakes, check) -> None:
    distribution, plugin = DISCOVERY_FAILS[check]
    fakes(distribution)
    found = {item.name: item for item in collect(plugin)}
    with pytest.raises(AssertionError):
        found[check]()


def test_second_distribution_of_one_name_is_found(fakes) -> None:
    fakes("kptk-good", "kptk-zgood-again")
    with pytest.raises(AssertionError, match="kptk-zgood-again"):
        {item.name: item for item in collect("good")}["names_are_unique"]()


def test_no_check_is_left_that_was_never_seen_to_fail() -> None:
    modules = {
        PLUGIN_CHECKS,
        *(f"kptk.testing.{module}" for modules in OFFER_CHECKS.values() for module in modules),
    }
    # In a process of its own: listing the checks must not import Keras here, before the tests that count modules.
    script = (
        "import importlib, json, sys\n"
        "checks = [f.__name__ for m in sys.argv[1:] for f in importlib.import_module(m).CHECKS]\n"
        "print(json.dumps(checks))"
    )
    done = subprocess.run([sys.executable, "-c", script, *modules], capture_output=True, text=True, check=True)
    seen = {check for names in FAILS.values() for checks in names.values() for check in checks} | set(DISCOVERY_FAILS)
    assert set(json.loads(done.stdout)) == seen


def test_collecting_imports_nothing_heavy() -> None:
    script = (
        "import sys; from kptk.testing import collect, plugin_checks; print(len(collect('contrastive')));"
        "bad = {'keras', 'numpy', 'tensorflow', 'jax', 'torch'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_missing_plugin_fails_instead_of_passing_with_no_checks() -> None:
    results = {result.id: result for result in run_checks("nobody_has_this")}
    assert not results["nobody_has_this-plugin-loads"].ok
    assert not any(result.ok for result in results.values() if "spec_fields" not in result.id)


def make_check(function) -> Check:
    return Check(function, Subject("x", Plugins()))


def passes(subject) -> None:
    del subject


def fails(subject) -> None:
    raise AssertionError("as it must")


def skips(subject) -> None:
    raise Skip("nothing to see")


def test_results_without_pytest() -> None:
    checks = [make_check(function) for function in (passes, fails, skips)]
    assert [(r.id, r.status, r.ok) for r in iterate(checks, {})] == [
        ("x-plugin-passes", "passed", True),
        ("x-plugin-fails", "failed", False),
        ("x-plugin-skips", "skipped", True),
    ]
    known = {"x-plugin-passes": "a bug", "x-plugin-fails": "a bug"}
    assert [(r.status, r.ok) for r in iterate(checks, known)] == [
        ("passed unexpectedly", False),
        ("failed as expected", True),
        ("skipped", True),
    ]


@pytest.mark.parametrize(
    "expected",
    [{"contrastive-plugin-lods": "a reason"}, {"contrastive-plugin-loads": ""}],
    ids=["unknown", "no reason"],
)
def test_expected_failures_must_be_checks_and_have_reasons(expected) -> None:
    with pytest.raises(UsageError, match="expected_failures"):
        plugin_checks("contrastive", expected)
    with pytest.raises(UsageError, match="expected_failures"):
        run_checks("contrastive", expected_failures=expected)


def test_under_pytest_ids_xfail_skip_and_count(tmp_path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from kptk.testing import plugin_checks\n"
        "expected = {'contrastive-plugin-loads': 'it does load, so strict xfail must fail'}\n"
        "@plugin_checks('contrastive', expected)\n"
        "def test_it(check):\n    check()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-k",
        "loads and plugin or recipe or number_of_checks",
        "-p",
    ]
    done = subprocess.run(
        [*command, "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
    )
    assert "[XPASS(strict)]" in done.stdout
    assert "PASSED test_it.py::test_it[contrastive-recipe-contrastive-parts_fit_together]" in done.stdout
    assert "PASSED test_it.py::test_it[contrastive-number_of_checks]" in done.stdout
    assert "checks of plugin 'contrastive'" in done.stdout
    assert "1 failed" in done.stdout


def test_temporary_plugins_are_found_inside_the_block_only() -> None:
    module = ModuleType("kptk_passing")
    spec = BackboneSpec(name="module_net", target="kptk_passing:net", summary="From a module.")
    module.kptk_backbones = hookimpl(lambda: [spec], specname="kptk_backbones")
    module.net = lambda input_shape: input_shape
    alone = BackboneSpec(name="spec_net", target="kptk_passing:net", summary="From a spec.")
    with temporary_plugins(module, alone) as plugins:
        assert plugins.find("backbone", "module_net").id == "passing/module_net"
        assert Plugins().find("backbone", "temporary/spec_net").spec.build(input_shape=(1,)) == (1,)
        assert Plugins().find("objective", "contrastive").plugin == "contrastive"
        with pytest.raises(Skip):
            collect("passing")[0]()
    assert not {"passing", "temporary"} & {loaded.found.name for loaded in Plugins().loaded}
    assert "kptk_passing" not in sys.modules


def test_temporary_plugin_cannot_take_an_installed_name() -> None:
    with pytest.raises(UsageError, match="contrastive"), temporary_plugins(ModuleType("kptk_contrastive")):
        pass


def test_toy_inputs_are_seeded_balanced_and_refuse_unknown_kinds() -> None:
    from kptk.training import backend

    backend.import_keras()
    import numpy as np

    from kptk.testing.toys import toy_inputs

    x, y = toy_inputs("image", 32, seed=1)
    assert (x.shape, x.dtype, np.bincount(y).tolist()) == ((32, 16, 16, 3), np.uint8, [8, 8, 8, 8])
    assert np.array_equal(x, toy_inputs("image", 32, seed=1)[0])
    assert not np.array_equal(x, toy_inputs("image", 32, seed=2)[0])
    with pytest.raises(UsageError, match=r"Received: 'smell'.*register_toy"):
        toy_inputs("smell")


def test_checks_say_what_they_check() -> None:
    for check in collect("contrastive"):
        assert (inspect.getdoc(check.function) or "").endswith("."), check.name
