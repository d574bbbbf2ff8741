"""A tiny folder laid out like DIV2K, and the smallest complete run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from tensorboardX.proto.event_pb2 import Event

from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.data.resize import imresize


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
