"""The options of the plugin, with the names that ModelArts jobs use."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from srtrain.errors import RecipeError
from srtrain.recipe import Recipe

KEY = "hooks.modelarts"


@dataclass(frozen=True)
class Options:
    """The arguments of ``ModelArtsHook``; see there."""

    enable_modelarts: bool
    data_url: str
    train_url: str
    checkpoint_url: str
    need_unzip_in_modelarts: bool
    need_unzip_files: tuple[str, ...]
    data_path: str
    output_path: str

    def __post_init__(self) -> None:
        if self.need_unzip_files and not self.need_unzip_in_modelarts:
            raise RecipeError(
                f"{KEY}.need_unzip_files = {self.need_unzip_files!r}, but need_unzip_in_modelarts is False. "
                f"Set it to True."
            )

    @property
    def results(self) -> tuple[str, str]:
        """Return the recipe key and the address of the results; both are empty if none is set."""
        if self.checkpoint_url:
            return f"{KEY}.checkpoint_url", self.checkpoint_url.rstrip("/")
        return (f"{KEY}.train_url", self.train_url.rstrip("/")) if self.train_url else ("", "")

    def place(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the local folders for data and run, unless the recipe sets its own."""
        data = recipe.data
        if self.data_url and not data.root:
            data = dataclasses.replace(data, root=self.data_path)
        run_dir = recipe.run_dir or str(Path(self.output_path) / recipe.name)
        return dataclasses.replace(recipe, data=data, run_dir=run_dir)
