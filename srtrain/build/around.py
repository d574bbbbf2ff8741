"""What plugins do before and after a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from srtrain import plugins
from srtrain.errors import RecipeError
from srtrain.recipe import Recipe
from srtrain.recipe.check import check_recipe


@contextlib.contextmanager
def around_run(recipe: Recipe, *, resume: bool, overwrite: bool) -> Iterator[Recipe]:
    """Enter ``around_run`` of each plugin of the recipe that defines one, and leave them in reverse order.

    A plugin's ``around_run(recipe, *, resume, overwrite)`` is a context manager. Up to its ``yield`` nothing of
    the run is open: no device, no data set, no run folder. What it yields is the recipe that is run. After the
    ``yield`` everything is closed again; an exception of the run is raised there.

    Raises:
        RecipeError: a plugin yields something that is no recipe, or one that cannot be run.
    """
    with contextlib.ExitStack() as stack:
        modules = {id(plugin.module): plugin for plugin in map(plugins.load, recipe.plugins)}
        for plugin in modules.values():
            enter = getattr(plugin.module, "around_run", None)
            if enter is None:
                continue
            recipe = stack.enter_context(enter(recipe, resume=resume, overwrite=overwrite))
            if not isinstance(recipe, Recipe):
                raise RecipeError(
                    f"around_run of the plugin {plugin.name!r} yields a {type(recipe).__name__}, not the recipe."
                )
            check_recipe(recipe)
        yield recipe
