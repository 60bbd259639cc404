"""`Plugins`: names to offers. In-memory plugins, so that each test says what is installed."""

from __future__ import annotations

import pytest

from kptk import BackboneSpec, ObjectiveSpec, RecipeSpec
from kptk.errors import PluginError, UsageError
from kptk.plugins import Plugins, load_target
from kptk.testing import temporary_plugins

NET = BackboneSpec(name="net", target="textwrap:shorten", summary="A net.", aliases=("network",))
WIDE = BackboneSpec(name="net_wide", target="textwrap:no_such_name", summary="A wide net.")
LOSS = ObjectiveSpec(name="loss", target="no_such_module_anywhere:Loss", summary="A loss.")


def test_offer_is_found_by_name_alias_and_full_id() -> None:
    with temporary_plugins(NET) as plugins:
        ids = {plugins.find("backbone", name).id for name in ("net", "network", "temporary/net", "temporary/network")}
    assert ids == {"temporary/net"}


def test_kinds_have_names_of_their_own() -> None:
    same_name = ObjectiveSpec(name="net", target="x:y", summary="An objective of the same name.")
    with temporary_plugins(NET, same_name) as plugins:
        assert plugins.find("backbone", "net").spec == NET
        assert plugins.find("objective", "net").spec == same_name


def test_patterns_match_names_and_ids() -> None:
    with temporary_plugins(NET, WIDE) as plugins:
        assert [offer.spec.name for offer in plugins.offers("backbone", "net*")] == ["net", "net_wide"]
        assert [offer.spec.name for offer in plugins.offers("backbone", "temporary/*_wide")] == ["net_wide"]
        assert not plugins.offers("objective", "net*")


def test_nothing_is_looked_up_before_it_is_asked_for(monkeypatch) -> None:
    def fail() -> None:
        raise AssertionError("looked up too early")

    monkeypatch.setattr("kptk.discovery.find", fail)
    Plugins()


@pytest.mark.parametrize("recipes", [("temporary",), ("temporary", "second"), ("only",)])
def test_plugins_name_means_its_recipe(recipes) -> None:
    with temporary_plugins(*(RecipeSpec(name=name, summary="A recipe.") for name in recipes)) as plugins:
        assert plugins.recipe("temporary").spec.name == recipes[0]


def test_several_recipes_and_none_of_the_plugins_name_are_listed() -> None:
    with temporary_plugins(*(RecipeSpec(name=name, summary="A recipe.") for name in ("one", "two"))) as plugins:
        with pytest.raises(UsageError, match=r"temporary/one.*temporary/two"):
            plugins.recipe("temporary")
        assert plugins.recipe("temporary/two").spec.name == "two"


@pytest.mark.parametrize("spec", [WIDE, LOSS], ids=["no attribute", "no module"])
def test_target_that_cannot_be_imported_is_the_plugins_fault(spec) -> None:
    with temporary_plugins(spec) as plugins, pytest.raises(PluginError) as caught:
        load_target(plugins.find(spec.kind, spec.name))
    assert f"temporary/{spec.name}" in str(caught.value)
    assert spec.target in str(caught.value)
    assert "kptk plugins check temporary" in str(caught.value)


def test_target_is_imported() -> None:
    import textwrap

    with temporary_plugins(NET) as plugins:
        assert load_target(plugins.find("backbone", "net")) is textwrap.shorten
