"""The results of a search: a report, JSON files, a text file, and curves for TensorBoard."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from srtrain.files import write_whole
from srtrain.files.json_file import FINITE, read_json
from srtrain.hooks.writers.event_file import EventFile
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.owned import PART, own

from ..report.architecture import architecture_text
from ..report.charts import members
from ..report.report import SearchFacts, write_report
from ..search.evolution import Evolution
from ..search.types import Individual, Outcome

SUFFIX = ".search"

Evaluated = tuple[Individual, Outcome]

own(
    *("report.html", "architecture.txt", f"search/{PART}"),
    *(f"search/{name}.json" for name in ("seconds", "history", "pareto", "full")),
)


class Results:
    """Writes the results after each generation. Only rank 0 writes.

    In the run folder: ``report.html``; ``search/history.json`` with every candidate; ``search/pareto.json`` with those
    that no other dominates; ``architecture.txt`` with the best of them; and TensorBoard's event files, in which a step
    is a generation.

    Args:
        trainer: the trainer of the run.
        scale: scale of the networks.
        evolution: the evolution whose history is written.
        protocol: description of what PSNR measures.
        settings: settings of the search, for the report.
    """

    def __init__(
        self,
        trainer: TrainerApi,
        scale: int,
        evolution: Evolution,
        protocol: str,
        settings: Mapping[str, str],
    ) -> None:
        self.trainer = trainer
        self.scale = scale
        self.evolution = evolution
        self.protocol = protocol
        self.settings = settings
        self.folder = trainer.run_dir / "search"
        self._started = time.monotonic()
        self._seconds_before = _seconds_of(self.folder / "seconds.json")
        # A resumed search replays all generations, so the curves of earlier sessions are written again.
        self._events = EventFile(trainer.run_dir, SUFFIX) if trainer.backend.rank == 0 else None

    def publish(self) -> None:
        """Write all results; call it after each generation."""
        if self._events is None:
            return
        from tensorboardX.summary import scalar  # slow to import

        history = self.evolution.history
        generation, number = history[-1], len(history) - 1
        found = [o.objectives["psnr"] for _, o in generation.members if not o.failed]
        values = {
            "candidates": float(sum(len(g.members) for g in history)),
            "failed": float(sum(o.failed for g in history for _, o in g.members)),
        }
        if found:
            values |= {"psnr_median": statistics.median(found), "psnr_best_of_generation": max(found)}
        if self.best:
            values["psnr_best"] = self.best[0][1].objectives["psnr"]
        if generation.hypervolume is not None:
            values["hypervolume"] = generation.hypervolume
        for name, value in values.items():
            self._events.add(scalar(f"search/{name}", value), number)
        for kind, value in generation.credit.items():
            if any(g.credit[kind] != 1 for g in history):
                self._events.add(scalar(f"credit/{kind}", value), number)
        self._write_files()

    def conclude(self) -> None:
        """Log the result of the search. ``publish`` has written it after the last generation."""
        if self._events is None:
            return
        self._events.close()
        log = self.trainer.log
        log.info(self.evolution.why_done)
        best = [
            {
                "worker_id": individual.number,
                "performance": {
                    "flops": outcome.objectives["multi_adds"] / 1e9,
                    "params": outcome.objectives["parameters"] / 1e3,
                    "PSNR": outcome.objectives["psnr"],
                },
            }
            for individual, outcome in self.best
        ]
        log.info(f"Best values: {best}")
        log.info(
            f"units: flops in G multi-adds for 1280 x 720 px, params in thousands, PSNR in dB on {self.protocol}"
        )
        log.info(f"report: {self.trainer.run_dir / 'report.html'}")

    @property
    def best(self) -> Sequence[Evaluated]:
        """The candidates that no other dominates, highest PSNR first; with one objective, only the best."""
        return sorted(self.evolution.archive, key=lambda found: -found[1].objectives["psnr"])

    def _write_files(self) -> None:
        evolution, world_size = self.evolution, self.trainer.backend.world_size
        everything = members(evolution.history)
        seconds = [sum(outcome.seconds.values()) for _, outcome in everything]
        n_planned = evolution.settings.n_generations * evolution.settings.n_individuals
        left = (
            None if evolution.done or not seconds else statistics.mean(seconds) * (n_planned - len(seconds))
        )
        elapsed = self._seconds_before + time.monotonic() - self._started
        write_whole(self.folder / "seconds.json", _json(elapsed))
        write_whole(self.folder / "history.json", _json([_facts(*member) for member in everything]))
        write_whole(self.folder / "pareto.json", _json([_facts(*member) for member in self.best]))
        if self.best:
            text = architecture_text(*self.best[0], self.scale, self.evolution.space.settings.n_feats)
            write_whole(self.trainer.run_dir / "architecture.txt", text)
        facts = SearchFacts(
            title=self.trainer.run_dir.name,
            objectives=evolution.objectives,
            generations=evolution.history,
            n_generations=evolution.settings.n_generations,
            pareto=tuple(individual.number for individual, _ in self.best),
            settings=self.settings,
            protocol=self.protocol,
            elapsed_seconds=elapsed,
            seconds_left=None if left is None else left / world_size,
            scale=self.scale,
            n_ranks=world_size,
            stopped=evolution.why_done,
        )
        write_report(self.trainer.run_dir / "report.html", facts)


def _seconds_of(file: Path) -> float:
    """Return the wall time of earlier sessions of this search, in seconds.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not file.exists():
        return 0.0
    return float(
        read_json(file, FINITE, remedy="Delete it: the time of earlier sessions is then not counted.")
    )


def _facts(individual: Individual, outcome: Outcome) -> dict[str, object]:
    return {
        "number": individual.number,
        "generation": individual.generation,
        "origin": individual.origin,
        "parents": individual.parents,
        "blocks": individual.blocks,
        "objectives": dict(outcome.objectives),
        "reason": outcome.reason,
        "drops": outcome.drops,
        "seconds": dict(outcome.seconds),
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
