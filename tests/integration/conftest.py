"""A tiny folder laid out like DIV2K, and the smallest complete run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from tensorboardX.proto.event_pb2 import Event

from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.data.resize import imresize
from srtrain.registry import Registry


def registries() -> list[Registry]:
    """Return all registries whose modules are loaded."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("srtrain")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Registry)]
    return list({id(registry): registry for registry in found}.values())


@pytest.fixture(scope="module", autouse=True)
def _names_of_other_tests() -> Iterator[None]:
    """Forget what the files of these tests register, because other tests in this process look at all names."""
    before = {(id(registry), name) for registry in registries() for name in registry.additions()}
    yield
    for registry in registries():
        for name, entry in registry.additions().items():
            if (id(registry), name) not in before and not entry.__module__.startswith(
                ("plugins.", "srtrain_plugins.")
            ):
                del registry._entries[name]
                registry._from_run.pop(name, None)


@pytest.fixture(scope="session")
def curve(events: Callable[[Path], list[Event]]) -> Callable[[Path, str], dict[int, float]]:
    """Return the values of one tag in a run folder's event files, by step."""

    def curve(run_dir: Path, tag: str) -> dict[int, float]:
        return {
            event.step: value.simple_value
            for event in events(run_dir)
            for value in event.summary.value
            if value.tag == tag
        }

    return curve


@pytest.fixture(scope="session")
def tiny_div2k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training and two validation pictures of 72x72, at x2 and x3, named as DIV2K names them."""
    root = tmp_path_factory.mktemp("div2k")
    picture = read_rgb(embedded(scale=2, names=("coffee",))[0].gt)
    for index, number in enumerate((1, 2, 3, 4, 801, 802)):
        split = "train" if number < 800 else "valid"
        gt = picture[60 * index : 60 * index + 72, 100:172]
        _write(root / f"DIV2K_{split}_HR" / f"{number:04}.png", gt)
        for scale in (2, 3):
            lq = imresize(gt, 1 / scale)
            _write(root / f"DIV2K_{split}_LR_bicubic" / f"X{scale}" / f"{number:04}x{scale}.png", lq)
    return root


def _write(file: Path, rgb) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), rgb[:, :, ::-1])
