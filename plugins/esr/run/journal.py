"""What a search remembers: a file for each network that was trained, which is also how ranks share the work.

    search/individuals/3f2a….json    what came of a network, by its blocks; written whole, so that it is there or not
    search/claims/3f2a…              a rank is at it, and which
    search/lost/3f2a….1              a process ended while it was at it: the first time

That is all a search saves. The evolution is a pure function of its seed and of these outcomes, so that a search which
was killed is resumed by running it again: what is here is not trained a second time, and the rest is as it would have
been.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from srtrain.errors import CheckpointError
from srtrain.files import write_whole

from ..search.types import Outcome

Blocks = tuple[str, ...]

MAX_LOSSES = 3
"""How often a process may end while it trains a network before that network is held to be the reason."""


class Journal:
    """The memory of one search, in a folder that all its ranks see.

    Args:
        folder: ``search`` in the run folder.
        digest: of all that decides on an outcome; outcomes of other settings are refused.
        rank: whose claims these are.
    """

    def __init__(self, folder: Path, digest: str, rank: int) -> None:
        self.folder = folder
        self.digest = digest
        self.rank = rank
        for part in ("individuals", "claims", "lost"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def outcome(self, blocks: Blocks) -> Outcome | None:
        """Return what came of a network, ``None`` while nobody knows.

        Raises:
            CheckpointError: the file is damaged, or is from a search with other settings.
        """
        file = self._file("individuals", blocks).with_suffix(".json")
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            outcome = Outcome(found["objectives"], found["reason"], tuple(found["drops"]), found["seconds"])
            same_blocks, digest = found["blocks"] == list(blocks), found["digest"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{str(file)!r} is damaged ({error}). Delete it: --resume then trains that network again."
            ) from error
        if not same_blocks or digest != self.digest:
            raise CheckpointError(
                f"{str(file)!r} is from a search that trains or scores its candidates otherwise, so its numbers mean "
                f"something else here. Undo what was changed (recipe.json in the run folder has it), or begin a new "
                f"search with run_dir=ANOTHER."
            )
        return outcome

    def record(self, blocks: Blocks, outcome: Outcome) -> None:
        """Remember what came of a network; the claim on it ends."""
        found: dict[str, Any] = {
            "blocks": blocks,
            "digest": self.digest,
            "objectives": dict(outcome.objectives),
            "reason": outcome.reason,
            "drops": outcome.drops,
            "seconds": dict(outcome.seconds),
            "rank": self.rank,
        }
        file = self._file("individuals", blocks).with_suffix(".json")
        write_whole(file, json.dumps(found, indent=2) + "\n")
        self.release(blocks)

    def claim(self, blocks: Blocks) -> bool:
        """Return whether this rank is the one to train a network: nobody has, and nobody is at it."""
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
        """Give a claim back."""
        self._file("claims", blocks).unlink(missing_ok=True)

    def forget_claims(self) -> list[str]:
        """Turn the claims of processes that are no more into losses; return who they were.

        For one rank, before any of them claims anything.
        """
        owners = []
        for claim in sorted((self.folder / "claims").iterdir()):
            if (self.folder / "individuals" / f"{claim.name}.json").exists():
                claim.unlink()  # it was recorded, and then the process ended
                continue
            owners.append(claim.read_text(encoding="utf-8").strip() or "a rank")
            claim.rename(self.folder / "lost" / f"{claim.name}.{self._n_lost(claim.name) + 1}")
        return owners

    def n_losses(self, blocks: Blocks) -> int:
        """Return how often a process ended while it trained a network."""
        return self._n_lost(key(blocks))

    def _n_lost(self, name: str) -> int:
        return len(list((self.folder / "lost").glob(f"{name}.*")))

    def __len__(self) -> int:
        return sum(1 for _ in (self.folder / "individuals").glob("[!.]*.json"))

    def _file(self, part: str, blocks: Blocks) -> Path:
        return self.folder / part / key(blocks)


def key(blocks: Blocks) -> str:
    """Return the name of a network's files."""
    return hashlib.sha256(" ".join(blocks).encode()).hexdigest()[:16]
