"""The log of a run: lines of text, and named numbers that hooks write to files."""

from __future__ import annotations

import logging
import logging.handlers
import math
import sys
from pathlib import Path
from typing import Any

import mindspore as ms
from tqdm import tqdm

from srtrain.errors import masked

_MOST_EARLY_LINES = 10_000


class _BarSafeHandler(logging.Handler):
    """Writes lines to stderr above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class _FileHandler(logging.FileHandler):
    """Appends lines to a file; a line that does not fit on the disk is only on the console."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say once that the file cannot be written, and go on: the next checkpoint decides about the run."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            tqdm.write(f"warning: {self.baseFilename!r} cannot be written: {error.strerror}", file=sys.stderr)

    _failed = False


class Log:
    """Writes lines to the console and to ``run.log``, and collects the numbers of a logging step.

    Credentials in addresses are masked.

    Args:
        file: where the lines also go; ``None`` for nowhere.
        later: keep the lines until ``begin_file`` creates the file; if it is never called, they are only shown.

    Attributes:
        every: numbers are written every so many steps.
        scalars: the numbers of the present logging step, by name.
        last_loss: the loss of the last update.
    """

    def __init__(
        self, file: Path | None = None, every: int = 50, to_console: bool = True, later: bool = False
    ) -> None:
        self.every = every
        self.scalars: dict[str, float] = {}
        self.last_loss: ms.Tensor | float = 0.0
        self._losses: list[ms.Tensor | float] = []
        self._logger = logging.Logger("srtrain", logging.INFO)
        if to_console:
            handler: logging.Handler = _BarSafeHandler()
            handler.setFormatter(logging.Formatter("%(message)s"))
            self._logger.addHandler(handler)
        self._file = file
        self._early = logging.handlers.MemoryHandler(_MOST_EARLY_LINES, logging.CRITICAL + 1)
        if later:
            self._logger.addHandler(self._early)
        else:
            self.begin_file()

    def begin_file(self) -> None:
        """Create the file, with the lines so far."""
        self._logger.removeHandler(self._early)
        if self._file is not None:
            handler = _FileHandler(self._file, encoding="utf-8")
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            self._logger.addHandler(handler)
            self._early.setTarget(handler)
        self._early.close()

    def info(self, text: str) -> None:
        """Write a line."""
        self._logger.info(masked(text))

    def warning(self, text: str) -> None:
        """Write a line about a problem that the user should look into."""
        self._logger.warning(f"warning: {masked(text)}")

    def put(self, **scalars: float) -> None:
        """Add numbers to those of the present logging step."""
        self.scalars.update(scalars)

    def keep_loss(self, loss: ms.Tensor) -> None:
        """Keep a loss, without reading it from the device, for ``gather_loss``."""
        self._losses.append(loss)
        self.last_loss = loss

    def losses(self) -> list[float]:
        """Return the finite losses since the last ``gather_loss``; this waits for the device."""
        return [value for loss in self._losses if math.isfinite(value := float(loss))]

    def state(self) -> dict[str, Any]:
        """Return the numbers that a resumed run needs, as JSON values; this waits for the device."""
        scalars = {name: float(value) for name, value in self.scalars.items()}
        return {"losses": self.losses(), "scalars": scalars, "loss": float(self.last_loss)}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue with the numbers of a checkpoint; those of earlier versions have none."""
        if state:
            self._losses, self.scalars = list(state["losses"]), dict(state["scalars"])
            self.last_loss = float(state["loss"])

    def gather_loss(self) -> float:
        """Return the mean of the finite losses since the last call; this waits for the device.

        Losses that are not finite are left out: their updates were skipped, and ``nan_guard`` reports them.
        """
        values = self.losses()
        self._losses.clear()
        return sum(values) / len(values) if values else float("nan")

    def close(self) -> None:
        """Close ``run.log``."""
        for handler in self._logger.handlers:
            handler.close()
