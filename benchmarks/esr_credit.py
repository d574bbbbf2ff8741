"""Does block credit help the search? Four searches of equal budget, many times, on a table that holds every answer.

    python benchmarks/esr_credit.py compare --plot credit.png

The table, which ``esr_table.py`` makes, holds all networks of a small space with what came of a short training of each.
A search on it costs nothing, so that each can be repeated with many seeds, and the best there is is known. Compared are
the evolution with the credit strategies ``lineage``, ``ablation`` and ``uniform`` (which is none), and ``random``:
networks drawn as the first generation is, without repeats. All have the same budget of evaluations, and for one seed
the same first generation.

Printed are, as means over the seeds with 95 % bootstrap intervals: the best PSNR found, the regret, which is what it is
short of the best in the table, and the area: the mean over the budget of the best so far, which says how early it is
found. Then the differences to ``uniform`` seed by seed, and what they show: ``better`` or ``worse`` where the interval
does not hold 0, else ``no difference shown``. These intervals are not corrected for there being six of them. A table
is one training of each network: what is shown holds for its space and its length of training.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.credit import CREDITS
from srtrain_plugins.esr.search.evolution import Evolution, EvolutionSettings
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Outcome

from srtrain.errors import DataError, RecipeError, UserError
from srtrain.evaluation.table import aligned
from srtrain.registry import check_arguments

Float64 = NDArray[np.float64]
Blocks = tuple[str, ...]

TABLE = Path(__file__).with_name("esr_table.json")
BASELINE = "uniform"
METHODS = (BASELINE, "lineage", "ablation", "random")
COLOURS = {BASELINE: "tab:grey", "lineage": "tab:blue", "ablation": "tab:orange", "random": "tab:red"}
N_RESAMPLES = 5000


def main() -> int:
    """Parse, and report a mistake of the user in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare", help="search on the table with every strategy")
    comparing.add_argument("--table", type=Path, default=TABLE, help="default: %(default)s")
    comparing.add_argument(
        "--budget", type=int, help="evaluations of a search; default: a third of the table"
    )
    comparing.add_argument("--seeds", type=int, default=30, metavar="N", help="searches of each kind")
    comparing.add_argument("--individuals", type=int, default=8, metavar="N", help="in a generation")
    comparing.add_argument("--elites", type=int, default=4, metavar="N")
    comparing.add_argument("--plot", type=Path, help="PNG to write")
    args = parser.parse_args()
    try:
        table = read_table(args.table)
        budget = args.budget or math.ceil(len(table.genomes) / 3)
        settings = EvolutionSettings(
            n_generations=math.ceil(budget / args.individuals),
            n_individuals=args.individuals,
            n_elites=args.elites,
        )
        compare(table, budget, args.seeds, settings, args.plot)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


@dataclass(frozen=True)
class Table:
    """Every network of a small space, with what came of it.

    Attributes:
        about: how the networks were trained and scored.
        space: the space, all of whose networks are here.
        genomes: outcomes by blocks.
    """

    about: dict[str, Any]
    space: Space
    genomes: dict[Blocks, Outcome]

    @property
    def psnr(self) -> list[float]:
        """Those of all networks that did not fail, in dB."""
        return [outcome.objectives["psnr"] for outcome in self.genomes.values() if not outcome.failed]


def read_table(file: Path) -> Table:
    """Read a table, and check that it is whole.

    It is JSON: ``about`` (``scale``, 2 where it is missing; ``failed``, how many networks have no entry because they
    failed; anything else is printed), ``space`` (arguments of ``SpaceSettings``), and ``genomes``: by the names of the
    blocks with spaces between them, ``psnr`` in dB, ``parameters``, and ``drops``, a number or null for each block.

    Raises:
        DataError: there is none, it is damaged, or it does not hold every network of its space.
        RecipeError: its space is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        about, given, genomes = dict(content["about"]), dict(content["space"]), dict(content["genomes"])
        scale, n_failed = int(about.get("scale", 2)), int(about.get("failed", 0))
    except OSError as error:
        raise DataError(f"the table {str(file)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{str(file)!r} is no table: {type(error).__name__}: {error}. It has to be JSON with 'about', 'space' and "
            f"'genomes'."
        ) from error
    check_arguments(f"'space' in {str(file)!r}", SpaceSettings, given)
    settings = SpaceSettings(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    space = Space(settings, Costs(scale, settings.n_feats))
    space.check()
    outcomes = {tuple(name.split()): _outcome(file, name, entry) for name, entry in genomes.items()}
    networks = set(space.networks())
    _check_whole(file, networks, outcomes, n_failed)
    for blocks, outcome in outcomes.items():
        counted = space.walk([True] * len(blocks), [space.index[name] for name in blocks])[0]
        if counted != outcome.objectives["parameters"]:
            raise DataError(
                f"{str(file)!r} says that {' '.join(blocks)!r} has {outcome.objectives['parameters']:,.0f} parameters; "
                f"at scale {scale} with {settings.n_feats} channels it has {counted:,}. Correct 'scale' in 'about'."
            )
    failed = Outcome({}, "failed when the table was made")
    return Table(about, space, {blocks: outcomes.get(blocks, failed) for blocks in networks})


def _outcome(file: Path, name: str, entry: Any) -> Outcome:
    """Check one entry.

    Raises:
        DataError: a number is missing or is none.
    """
    try:
        objectives = {key: float(entry[key]) for key in ("psnr", "parameters")}
        drops = tuple(None if drop is None else float(drop) for drop in entry["drops"])
        numbers = [*objectives.values(), *(drop for drop in drops if drop is not None)]
        if not all(map(math.isfinite, numbers)) or len(drops) != len(name.split()):
            raise ValueError("numbers have to be finite, and drops one for each block")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{str(file)!r}: the entry {name!r} is {entry!r}: {type(error).__name__}: {error}. It has to have 'psnr', "
            f"'parameters', and 'drops' with a number or null for each of its {len(name.split())} blocks."
        ) from error
    return Outcome(objectives, drops=drops)


def _check_whole(file: Path, networks: set[Blocks], found: dict[Blocks, Outcome], n_failed: int) -> None:
    """Compare the entries with the space.

    Raises:
        DataError: networks are missing and did not fail, or are of another space.
    """
    missing, foreign = networks - found.keys(), found.keys() - networks
    if len(missing) != n_failed:
        raise DataError(
            f"{str(file)!r} lacks {len(missing)} of the {len(networks)} networks of its space, such as "
            f"{' '.join(min(missing)) if missing else 'none'!r}, and says that {n_failed} failed. Build it anew."
        )
    if foreign:
        raise DataError(
            f"{str(file)!r} holds {len(foreign)} networks from outside of its 'space', such as "
            f"{' '.join(min(foreign))!r}. Build it anew, or correct its 'space'."
        )


def best_so_far(table: Table, method: str, seed: int, budget: int, settings: EvolutionSettings) -> Float64:
    """Search on the table; return the best PSNR after each evaluation, in dB."""
    if method == "random":
        # A first generation is what random search is: drawn by the prior, without repeats.
        evolution = Evolution(table.space, seed, EvolutionSettings(n_generations=1, n_individuals=budget))
    else:
        evolution = Evolution(table.space, seed, settings, credit=CREDITS.build(method))
    found: list[float] = []
    while not evolution.done:
        for individual in evolution.ask():
            outcome = table.genomes[individual.blocks]
            evolution.tell(individual, outcome)
            # A failure finds nothing, and the worst that there is begins every curve at the least.
            found.append(min(table.psnr) if outcome.failed else outcome.objectives["psnr"])
    return np.maximum.accumulate(found)[:budget]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with the 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Float64) -> Estimate:
        """Estimate the mean of what the values were drawn from."""
        from scipy.stats import bootstrap

        # Not BCa, which has no answer where nearly all values are equal, as when most searches find the best there is.
        interval = bootstrap(
            (values,),
            np.mean,
            n_resamples=N_RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(0),
        ).confidence_interval
        return cls(float(values.mean()), float(interval.low), float(interval.high))

    @property
    def verdict(self) -> str:
        """What a difference shows."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"

    def text(self, form: str = ".4f") -> str:
        """Return it for a table."""
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


MEASURES: dict[str, Callable[[Float64], Float64]] = {
    "best": lambda curves: curves[:, -1],
    "area": lambda curves: curves.mean(axis=1),
}
"""What is compared, from curves of (seeds, evaluations)."""


def compare(table: Table, budget: int, n_seeds: int, settings: EvolutionSettings, plot: Path | None) -> None:
    """Search, print, and draw where that was asked for.

    Raises:
        RecipeError: a budget beyond the table, or fewer than two seeds.
    """
    if not 1 <= budget <= len(table.genomes) or n_seeds < 2:
        raise RecipeError(
            f"--budget {budget} --seeds {n_seeds}: the budget has to be from 1 to the {len(table.genomes)} networks of "
            f"the table, and an interval needs two seeds or more."
        )
    curves = {
        method: np.stack([best_so_far(table, method, seed, budget, settings) for seed in range(n_seeds)])
        for method in METHODS
    }
    print(", ".join(f"{key}: {value}" for key, value in table.about.items()))
    print(
        f"{len(table.genomes)} networks, the best {max(table.psnr):.4f} dB; {budget} evaluations a search, "
        f"{n_seeds} seeds; means with 95 % intervals, in dB\n"
    )
    result = {method: judge(curves, method, max(table.psnr)) for method in METHODS}
    print_table(result)
    if plot is not None:
        draw(plot, curves, table)
    print(
        json.dumps(
            {
                "networks": len(table.genomes),
                "budget": budget,
                "seeds": n_seeds,
                "best_in_table_db": max(table.psnr),
                "methods": result,
            }
        )
    )


def judge(curves: dict[str, Float64], method: str, best: float) -> dict[str, Any]:
    """Return a method's estimates, and those of its difference to the baseline, as plain values."""
    own: dict[str, Any] = {
        name: vars(Estimate.of(measure(curves[method]))) for name, measure in MEASURES.items()
    }
    own["regret"] = vars(Estimate.of(best - curves[method][:, -1]))
    own["found_the_best"] = float((curves[method][:, -1] == best).mean())
    if method != BASELINE:
        for name, measure in MEASURES.items():
            difference = Estimate.of(measure(curves[method]) - measure(curves[BASELINE]))
            own[f"{name}_minus_{BASELINE}"] = {**vars(difference), "verdict": difference.verdict}
    return own


def print_table(result: dict[str, dict[str, Any]]) -> None:
    """Print the estimates, and a line of verdict for each difference."""
    head = ("method", "best", "regret", "area", "found the best")
    rows = [
        (
            method,
            *(Estimate(**own[name]).text() for name in ("best", "regret", "area")),
            f"{own['found_the_best']:.0%}",
        )
        for method, own in result.items()
    ]
    print(aligned(head, rows) + "\n")
    for method, own in result.items():
        for name in MEASURES if method != BASELINE else ():
            difference = dict(own[f"{name}_minus_{BASELINE}"])
            verdict = difference.pop("verdict")
            print(f"{method} against {BASELINE}, {name}: {Estimate(**difference).text('+.4f')} dB: {verdict}")


def draw(file: Path, curves: dict[str, Float64], table: Table) -> None:
    """Plot the mean of the best so far over the evaluations, with bands of the intervals."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for method, each in curves.items():
        estimates = [Estimate.of(column) for column in each.T]
        evaluations = np.arange(1, each.shape[1] + 1)
        axes.plot(evaluations, [e.mean for e in estimates], color=COLOURS[method], label=method)
        axes.fill_between(
            evaluations,
            [e.low for e in estimates],
            [e.high for e in estimates],
            color=COLOURS[method],
            alpha=0.15,
            linewidth=0,
        )
    axes.axhline(
        max(table.psnr),
        color="black",
        linestyle=":",
        label=f"the best of {len(table.genomes)}, {max(table.psnr):.3f} dB",
    )
    axes.set_xlabel("evaluations")
    axes.set_ylabel("PSNR of the best so far in dB")
    axes.set_title(f"{len(curves[BASELINE])} searches each, with 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    sys.exit(main())
