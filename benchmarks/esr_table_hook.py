"""The hook of ``esr_table.py``: trains all networks of a space instead of searching it."""

from __future__ import annotations

import itertools
import json
from typing import Any

from srtrain_plugins.esr.hook import SearchHook, evaluate
from srtrain_plugins.esr.space import Space
from srtrain_plugins.esr.types import Genome, Individual, Outcome

from srtrain.registry import HOOKS
from srtrain.trainer.trainer import Trainer

Blocks = tuple[str, ...]


@HOOKS.register("esr_table")
class TableHook(SearchHook):
    """Trains them, ranks sharing the work, and writes ``table.json``."""

    def before_train(self, trainer: Trainer) -> None:
        """Do it all."""
        space, fitness, journal = self.prepare(trainer)
        counted = {names: parameters(space, names) for names in networks(space)}
        settings = space.settings
        inside = [names for names, n in counted.items() if settings.min_params <= n <= settings.max_params]
        trainer.log.info(f"{len(inside)} of {len(counted)} networks are in the window")
        genome = Genome((), ())  # nobody breeds them
        individuals = [Individual(i, 0, genome, names, "table") for i, names in enumerate(inside)]
        outcomes = evaluate(individuals, fitness, journal, trainer)
        if trainer.backend.rank == 0:
            about = {
                "protocol": fitness.crops.protocol,
                "updates": trainer.max_steps,
                "seconds_of_training": round(sum(sum(o.seconds.values()) for o in outcomes.values())),
                "failed": sum(outcome.failed for outcome in outcomes.values()),
            }
            rows = {" ".join(n): row(outcomes[n], counted[n]) for n in inside if not outcomes[n].failed}
            table = {"about": about, "space": {**self.space, "n_feats": settings.n_feats}, "genomes": rows}
            (trainer.run_dir / "table.json").write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")
        trainer.request_stop("its table, which is complete")


def networks(space: Space) -> list[Blocks]:
    """Return all rows of blocks that genes of the space can make."""
    lengths = range(space.settings.min_active, space.settings.n_nodes + 1)
    return [names for n in lengths for names in itertools.product(space.names, repeat=n)]


def parameters(space: Space, names: Blocks) -> int:
    """Return the parameters of a network."""
    kinds = [space.kinds[space.index[name]] for name in names]
    widths = [space.settings.n_feats, *(kind.n_out for kind in kinds)]
    blocks = (space.costs.block(kind, n_in) for kind, n_in in zip(kinds, widths, strict=False))
    return int(space.costs.fixed + sum(blocks))


def row(outcome: Outcome, n_parameters: int) -> dict[str, Any]:
    """Return what the table says of a network."""
    drops = [None if drop is None else round(drop, 5) for drop in outcome.drops]
    return {"psnr": round(outcome.objectives["psnr"], 5), "parameters": n_parameters, "drops": drops}
