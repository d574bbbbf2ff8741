"""The memory of a search: one file for each trained network. Ranks also share the work through these files.

    search/individuals/3f2a….json    the outcome of a network, by its blocks; written atomically
    search/claims/3f2a…              the rank that trains this network now
    search/lost/3f2a….1              a process ended while it trained this network, for the first time

A search saves nothing else. The evolution is a pure function of its seed and these outcomes. A search that was killed
is resumed by running it again: networks with an outcome are not trained again, and the result is the same as without
the interruption.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from srtrain.errors import CheckpointError
from srtrain.files import write_whole
from srtrain.files.json_file import read_json
from srtrain.trainer.owned import PART, own

from ..search.types import Outcome

_KEY = "[0-9a-f]" * 16
own(
    *(f"search/individuals/{_KEY}.json", f"search/individuals/{PART}"),
    *(f"search/claims/{_KEY}", f"search/lost/{_KEY}.[0-9]*"),
)

Blocks = tuple[str, ...]

_OUTCOME = {
    "blocks": [str],
    "digest": str,
    "objectives": {str: float},
    "reason": str,
    "drops": [(float, None)],
    "seconds": {str: float},
}

MAX_LOSSES = 3
"""After this many processes have ended while they trained a network, the network counts as failed."""


class Journal:
    """The memory of one search, in a folder that all ranks can access.

    Args:
        folder: ``search`` in the run folder.
        digest: digest of all settings that influence an outcome; outcomes of other settings are refused.
        rank: the rank that makes the claims.
    """

    def __init__(self, folder: Path, digest: str, rank: int) -> None:
        self.folder = folder
        self.digest = digest
        self.rank = rank
        self._known: set[str] = set()

    def begin(self) -> None:
        """Make the folders, and note which networks earlier sessions have trained."""
        for part in ("individuals", "claims", "lost"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._known = {file.stem for file in (self.folder / "individuals").glob("[!.]*.json")}

    def is_news(self, blocks: Blocks) -> bool:
        """Return whether another rank has trained a network in this session; true only once for each network."""
        news = key(blocks) not in self._known
        self._known.add(key(blocks))
        return news

    def check(self) -> None:
        """Read the outcomes of earlier sessions.

        Raises:
            CheckpointError: one is damaged, or comes from a search with other settings.
        """
        for file in (self.folder / "individuals").glob("[!.]*.json"):
            self._read(file)

    def outcome(self, blocks: Blocks) -> Outcome | None:
        """Return the outcome of a network; ``None`` if it has none yet.

        Raises:
            CheckpointError: the file is damaged, or it comes from a search with other settings.
        """
        file = self._file("individuals", blocks).with_suffix(".json")
        found = self._read(file)
        if found is not None and found[0] != tuple(blocks):
            raise self._other_search(file)
        return found and found[1]

    def _read(self, file: Path) -> tuple[Blocks, Outcome] | None:
        if not file.exists():
            return None
        found = read_json(file, _OUTCOME, remedy="Delete it: --resume then trains that network again.")
        outcome = Outcome(found["objectives"], found["reason"], tuple(found["drops"]), found["seconds"])
        if found["digest"] != self.digest:
            raise self._other_search(file)
        return tuple(found["blocks"]), outcome

    def _other_search(self, file: Path) -> CheckpointError:
        return CheckpointError(
            f"{str(file)!r} is from a search that trains or scores its candidates with other settings, so its "
            f"numbers are not comparable. Restore the settings (see recipe.json in the run folder), or start a new "
            f"search with run_dir=ANOTHER."
        )

    def record(self, blocks: Blocks, outcome: Outcome) -> None:
        """Store the outcome of a network, and release the claim on it."""
        found: dict[str, Any] = {
            "blocks": blocks,
            "digest": self.digest,
            "objectives": dict(outcome.objectives),
            "reason": outcome.reason,
            "drops": outcome.drops,
            "seconds": dict(outcome.seconds),
            "rank": self.rank,
        }
        self._known.add(key(blocks))
        file = self._file("individuals", blocks).with_suffix(".json")
        write_whole(file, json.dumps(found, indent=2) + "\n")
        self.release(blocks)

    def claim(self, blocks: Blocks) -> bool:
        """Try to claim a network for this rank; return False if it is trained already or claimed by another rank."""
        try:
            handle = os.open(self._file("claims", blocks), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"rank {self.rank}\n")
        if self.outcome(blocks) is not None:  # recorded after the caller looked
            self.release(blocks)
            return False
        return True

    def release(self, blocks: Blocks) -> None:
        """Remove the claim on a network."""
        self._file("claims", blocks).unlink(missing_ok=True)

    def forget_claims(self) -> list[str]:
        """Turn the claims of ended processes into losses, and return the owners of these claims.

        Call it on one rank only, before any rank claims a network.
        """
        owners = []
        for claim in sorted((self.folder / "claims").iterdir()):
            if (self.folder / "individuals" / f"{claim.name}.json").exists():
                claim.unlink()  # the outcome was stored before the process ended
                continue
            owners.append(claim.read_text(encoding="utf-8", errors="replace").strip() or "a rank")
            claim.rename(self.folder / "lost" / f"{claim.name}.{self._n_lost(claim.name) + 1}")
        return owners

    def n_losses(self, blocks: Blocks) -> int:
        """Return how many processes have ended while they trained a network."""
        return self._n_lost(key(blocks))

    def _n_lost(self, name: str) -> int:
        return len(list((self.folder / "lost").glob(f"{name}.*")))

    def __len__(self) -> int:
        return sum(1 for _ in (self.folder / "individuals").glob("[!.]*.json"))

    def _file(self, part: str, blocks: Blocks) -> Path:
        return self.folder / part / key(blocks)


def key(blocks: Blocks) -> str:
    """Return the file name for a network: a digest of its blocks."""
    return hashlib.sha256(" ".join(blocks).encode()).hexdigest()[:16]
