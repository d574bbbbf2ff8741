"""What plugins do before and after a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from srtrain import plugins
from srtrain.errors import RecipeError, listing
from srtrain.recipe import Recipe
from srtrain.recipe.check import check_recipe
from srtrain.trainer.hook import Hook


@dataclass(frozen=True)
class Prepared:
    """What the plugins have made of a run.

    Attributes:
        recipe: the recipe to run.
        hooks: hooks to use instead of building those of the recipe, by their keys.
        resume: False if ``--resume`` was given and a plugin allows to start at step 0, because there is no run yet.
    """

    recipe: Recipe
    hooks: dict[str, Hook]
    resume: bool = True


@contextlib.contextmanager
def around_run(recipe: Recipe, *, resume: bool, overwrite: bool) -> Iterator[Prepared]:
    """Enter ``around_run`` of each plugin of the recipe that defines one, and leave them in reverse order.

    A plugin's ``around_run(recipe, *, resume, overwrite)`` is a context manager. Up to its ``yield`` nothing of the
    run is open: no device, no data set, no run folder. It yields the recipe to run, or a tuple: the recipe and hooks
    that it has built itself, by their keys in ``recipe.hooks``. A third part of the tuple, False, lets a run begin at
    step 0 although ``--resume`` was given. After the ``yield`` everything is closed again; if the run failed, its
    exception is raised there.

    Raises:
        RecipeError: a plugin yields something else, or a recipe that cannot be run.
    """
    hooks: dict[str, Hook] = {}
    continues = True
    with contextlib.ExitStack() as stack:
        modules = {id(plugin.module): plugin for plugin in map(plugins.load, recipe.plugins)}
        for plugin in modules.values():
            enter = getattr(plugin.module, "around_run", None)
            if enter is None:
                continue
            yielded = stack.enter_context(enter(recipe, resume=resume, overwrite=overwrite))
            parts = yielded if isinstance(yielded, tuple) and len(yielded) in (2, 3) else (yielded, {})
            recipe, built = parts[:2]
            continues = continues and (len(parts) == 2 or bool(parts[2]))
            if not isinstance(recipe, Recipe):
                raise RecipeError(
                    f"around_run of the plugin {plugin.name!r} yields a {type(recipe).__name__}, not the recipe."
                )
            check_recipe(recipe)
            _check_hooks(plugin.name, recipe, built)
            hooks |= built
        yield Prepared(recipe, hooks, continues)


def _check_hooks(plugin: str, recipe: Recipe, hooks: dict[str, Hook]) -> None:
    keys = [key for key, spec in recipe.hooks.items() if spec is not None]
    for key, hook in hooks.items():
        if key not in keys or not isinstance(hook, Hook):
            raise RecipeError(
                f"around_run of the plugin {plugin!r} yields a {type(hook).__name__} for hooks.{key}. It may yield "
                f"Hook objects, under the keys of the recipe's hooks: {listing(keys)}."
            )
