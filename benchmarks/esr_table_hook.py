"""The hook of ``esr_table.py``. It trains all networks of a space instead of searching it."""

from __future__ import annotations

import json
from typing import Any

from srtrain_plugins.esr.run.hook import SearchHook, evaluate
from srtrain_plugins.esr.search.types import Genome, Individual, Outcome

from srtrain.hooks import HOOKS
from srtrain.trainer.api import TrainerApi


@HOOKS.register("esr_table", from_run=("seed", "benchmarks", "new_trainer"))
class TableHook(SearchHook):
    """Trains all networks of the space, shared between the ranks, and writes ``table.json``."""

    def before_train(self, trainer: TrainerApi) -> None:
        """Train all networks and write the table; then request a stop, since nothing is left to train."""
        space, fitness, journal = self.prepare(trainer)
        networks = sorted(space.networks())
        trainer.log.info(f"the space has {len(networks)} networks")
        genome = Genome((), ())  # not needed: these networks have no offspring
        individuals = [Individual(i, 0, genome, names, "table") for i, names in enumerate(networks)]
        outcomes = evaluate(individuals, fitness, journal, trainer)
        if trainer.backend.rank == 0:
            about = {
                "scale": self.new_trainer.scale,
                "protocol": fitness.crops.protocol,
                "updates": trainer.max_steps,
                "seconds_of_training": round(sum(sum(o.seconds.values()) for o in outcomes.values())),
                "failed": sum(outcome.failed for outcome in outcomes.values()),
            }
            rows = {" ".join(names): row(outcomes[names]) for names in networks if not outcomes[names].failed}
            table = {
                "about": about,
                "space": {**self.space, "n_feats": space.settings.n_feats},
                "genomes": rows,
            }
            (trainer.run_dir / "table.json").write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")
        trainer.request_stop("the table is complete")


def row(outcome: Outcome) -> dict[str, Any]:
    """Return the entry of one network in the table."""
    drops = [None if drop is None else round(drop, 5) for drop in outcome.drops]
    found = outcome.objectives
    return {"psnr": round(found["psnr"], 5), "parameters": round(found["parameters"]), "drops": drops}
