"""The registry: what the installed plugins offer, found by name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property

from kptk import discovery, errors
from kptk.discovery import Found, Loaded, Offer, Problem

FLAGS = {"recipe": "--plugin", "dataset": "--data"}


class Plugins:
    """Every plugin of this environment. A plain object: nothing happens until something is asked of it.

    Example:
        >>> from kptk.plugins import Plugins
        >>> Plugins().find("objective", "contrastive").id
        'contrastive/contrastive'
    """

    @cached_property
    def _found(self) -> tuple[list[Found], list[Problem]]:
        return discovery.find()

    @cached_property
    def loaded(self) -> list[Loaded]:
        """Each plugin with its offers and problems, sorted by name."""
        manager = discovery.new_manager()
        return [discovery.load(found, manager) for found in self._found[0]]

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong with any plugin."""
        return [*self._found[1], *(problem for plugin in self.loaded for problem in plugin.problems)]

    def offers(self, kind: str, pattern: str = "*") -> list[Offer]:
        """List the offers of a kind.

        Args:
            kind: one of `kptk.spec.SPECS`.
            pattern: shell-style pattern that the short name or the full id matches.
        """
        return [
            offer
            for plugin in self.loaded
            for offer in plugin.offers
            if offer.spec.kind == kind and (fnmatchcase(offer.spec.name, pattern) or fnmatchcase(offer.id, pattern))
        ]

    def find(self, kind: str, name: str, flag: str = "") -> Offer:
        """Return the one offer that a name means.

        Args:
            kind: one of `kptk.spec.SPECS`.
            name: short name, alias or full id ``plugin/name``.
            flag: the command line's flag, for the message.

        Returns:
            The offer.

        Raises:
            UsageError: if no plugin or several plugins offer it.
            PluginError: if the name says a plugin that is broken.
        """
        plugin, slash, short = name.rpartition("/")
        short = short.replace("-", "_")  # "lp-ft" is how papers write lp_ft
        named = [
            offer
            for offer in self.offers(kind)
            if short in (offer.spec.name, *offer.spec.aliases) and (not slash or offer.plugin == plugin)
        ]
        if len(named) == 1:
            return named[0]
        if named:
            flag = flag or FLAGS.get(kind, f"--{kind}")
            raise errors.ambiguous_name(flag, name, [(offer.id, offer.label) for offer in named])
        if slash:
            self.refuse_broken(plugin)
        known = [offer.spec.name for offer in self.offers(kind)] + [o.id for o in self.offers(kind) if slash]
        suspects = [f"{p.sentence}; it may have offered it." for p in self.problems if p.lost != "nothing"]
        raise errors.unknown_name(kind, name, known, suspects)

    def recipe(self, name: str) -> Offer:
        """Return the recipe that ``--plugin NAME`` means: the one of that name, or the plugin's only one.

        Args:
            name: a recipe's name or id, or a plugin's name.

        Raises:
            UsageError: if there is none, or several and none has the plugin's name.
            PluginError: if a plugin of that name is installed and broken.
        """
        short = name.rpartition("/")[2]
        if any(short in (offer.spec.name, *offer.spec.aliases) for offer in self.offers("recipe")):
            return self.find("recipe", name, "--plugin")
        self.refuse_broken(name)
        own = [offer for offer in self.offers("recipe") if offer.plugin == name]
        if len(own) == 1:
            return own[0]
        if own:
            ids = ", ".join(offer.id for offer in own)
            raise errors.UsageError(f"plugin '{name}' has several recipes. Say which, e.g. --plugin: {ids}")
        if any(plugin.found.name == name for plugin in self.loaded):
            raise errors.UsageError(
                f"plugin '{name}' offers no recipe, so there is nothing to run by its name. "
                f"See what it offers: kptk show {name}"
            )
        known = [offer.spec.name for offer in self.offers("recipe")]
        suspects = [f"{p.sentence}; it may have offered it." for p in self.problems if p.lost != "nothing"]
        raise errors.unknown_name("plugin", name, known, suspects)

    def refuse_broken(self, plugin: str) -> None:
        """Raise if the plugin that the user named is installed and broken.

        Args:
            plugin: entry-point name.

        Raises:
            PluginError: with the last line of the plugin's own traceback and where to report it.
        """
        for problem in self.problems:
            if problem.plugin == plugin and problem.lost == "all":
                contact = problem.issues_url or "its author"
                raise errors.PluginError(
                    f"{problem.sentence}\nReport it to {contact}. {discovery.STRICT_ENV}=1 shows the whole traceback."
                )

    def check(self) -> list[Problem]:
        """Load every plugin and return the problems, for ``kptk plugins check``."""
        return self.problems


def load_target(offer: Offer) -> object:
    """Import an offer's implementation.

    Args:
        offer: what to import.

    Raises:
        PluginError: if the plugin's code cannot be imported or lacks the target.
    """
    try:
        return offer.spec.load()
    except Exception as error:
        if isinstance(error, errors.KptkError):
            raise
        raise errors.PluginError(
            f"{offer.id} ({offer.label}) names `{offer.spec.target}`, which cannot be imported "
            f"({type(error).__name__}: {error}). Its dependencies may be missing: kptk plugins check {offer.plugin}"
        ) from error
