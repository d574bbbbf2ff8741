"""The models that srtrain comes with: a file of weights and a card for each, in this folder.

``NAME.safetensors`` holds the weights, and ``NAME.json`` the card: how the model was trained, what it scores, what it
costs and its licence. ``tools/make_model.py`` makes both from a run folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtrain.errors import RecipeError, UnknownNameError, did_you_mean, listing
from srtrain.files.json_file import Whole, read_json

FOLDER = Path(__file__).parent
WEIGHTS, CARD = ".safetensors", ".json"

SHAPE = {
    "name": str,
    "scale": Whole(1, 64),
    "sha256": str,
    "licence": str,
    "network": {"model": str, "model_args": dict, "parameters": Whole(1), "multi_adds": Whole(1)},
    "training": {"data": str, "recipe": str, "changes": [str], "commit": str, "steps": Whole(1)},
    "scores": [
        {"set": str, "protocol": str, "method": str, "psnr": float, "ssim": float, "bicubic_psnr": float}
    ],
    "speed": {"seconds_per_megapixel": float, "engine": str, "processor": str, "cores": Whole(1)},
}
"""What a card contains. ``multi_adds`` are for an output of 1280×720 px; megapixels are those of the output."""


def names() -> list[str]:
    """Return the names of the built-in models, sorted."""
    return sorted(file.stem for file in FOLDER.glob(f"*{WEIGHTS}"))


def card_of(name: str) -> dict[str, Any]:
    """Return the card of a built-in model; ``SHAPE`` says what it contains.

    Raises:
        UnknownNameError: there is no such model.
        CheckpointError: the card is missing or damaged.
    """
    known = names()
    if name not in known:
        raise UnknownNameError(
            f"there is no built-in model {name!r}.{did_you_mean(name, known)} Built-in models: {listing(known)}."
        )
    card: dict[str, Any] = read_json(FOLDER / f"{name}{CARD}", SHAPE, remedy="Install srtrain again.")
    return card


def located(path: Path) -> Path:
    """Return the weights of the built-in model that ``path`` names; any other path as it is.

    A file or folder of the same name has precedence.
    """
    name = str(path)
    return FOLDER / f"{name}{WEIGHTS}" if name in names() and not path.exists() else path


def best(scale: int) -> str:
    """Return the built-in model of a scale with the highest PSNR on its first benchmark.

    Raises:
        RecipeError: there is no model of this scale.
    """
    cards = [card_of(name) for name in names()]
    fitting = [card for card in cards if card["scale"] == scale]
    if not fitting:
        known = listing([str(one) for one in sorted({card["scale"] for card in cards})])
        raise RecipeError(
            f"there is no built-in model for --scale {scale}; there are models for the scales {known}. "
            f"Name another model with --model, such as a run folder or an exported file."
        )
    name: str = max(fitting, key=lambda card: card["scores"][0]["psnr"])["name"]
    return name
