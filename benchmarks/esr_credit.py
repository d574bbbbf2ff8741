"""Does block credit help the search? Compare search strategies on a table that has every result.

    python benchmarks/esr_credit.py compare --plot credit.png

The table is made by ``esr_table.py``. It has all networks of a small space, and the result of a short training of
each. A search on it takes no training, so each strategy can be repeated with many seeds, and the best network is
known. The benchmark compares the evolution with the credit strategies ``lineage``, ``ablation`` and ``uniform`` (no
credit), and ``random`` search, which draws networks as the first generation does, without repeats. All have the same
budget of evaluations and, for each seed, the same first generation.

For each strategy it prints means over the seeds with 95 % bootstrap intervals of three measures: the best PSNR found;
the regret, which is the distance to the best network in the table; and the area, which is the mean over the budget of
the best PSNR so far, and rewards finding it early. Then it prints the differences to ``uniform``, seed by seed. A
difference is ``better`` or ``worse`` if its interval excludes 0, else ``no difference shown``. The intervals are not
corrected for six comparisons. A table has one training of each network, so the result holds for its space and length
of training.

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
    """Parse the command line; report a user's mistake in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare", help="search the table with every strategy")
    comparing.add_argument("--table", type=Path, default=TABLE, help="default: %(default)s")
    comparing.add_argument("--budget", type=int, help="evaluations per search; default: a third of the table")
    comparing.add_argument("--seeds", type=int, default=30, metavar="N", help="searches per strategy")
    comparing.add_argument(
        "--individuals", type=int, default=8, metavar="N", help="new networks per generation"
    )
    comparing.add_argument("--elites", type=int, default=4, metavar="N", help="networks that survive")
    comparing.add_argument("--plot", type=Path, help="write the plot to this PNG file")
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
    """Every network of a small space and its result.

    Attributes:
        about: how the networks were trained and scored.
        space: the search space; the table has all its networks.
        genomes: results, by the names of the blocks.
    """

    about: dict[str, Any]
    space: Space
    genomes: dict[Blocks, Outcome]

    @property
    def psnr(self) -> list[float]:
        """The PSNRs of all networks that did not fail, in dB."""
        return [outcome.objectives["psnr"] for outcome in self.genomes.values() if not outcome.failed]


def read_table(file: Path) -> Table:
    """Read a table and check that it is complete.

    The file is JSON with three keys. ``about`` has ``scale`` (default 2), ``failed`` (the number of networks without an
    entry because they failed) and other values, which are printed. ``space`` has the arguments of ``SpaceSettings``.
    ``genomes`` maps the names of the blocks, separated by spaces, to ``psnr`` in dB, ``parameters``, and ``drops`` (a
    number or null for each block).

    Raises:
        DataError: the file is missing or damaged, or does not have every network of its space.
        RecipeError: the space is not valid.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        about, given, genomes = dict(content["about"]), dict(content["space"]), dict(content["genomes"])
        scale, n_failed = int(about.get("scale", 2)), int(about.get("failed", 0))
    except OSError as error:
        raise DataError(f"the table {str(file)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{str(file)!r} is not a table: {type(error).__name__}: {error}. A table is JSON with 'about', 'space' and "
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
        DataError: a value is missing or not a finite number.
    """
    try:
        objectives = {key: float(entry[key]) for key in ("psnr", "parameters")}
        drops = tuple(None if drop is None else float(drop) for drop in entry["drops"])
        numbers = [*objectives.values(), *(drop for drop in drops if drop is not None)]
        if not all(map(math.isfinite, numbers)) or len(drops) != len(name.split()):
            raise ValueError("the numbers must be finite, and drops must have one for each block")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{str(file)!r}: the entry {name!r} is {entry!r}: {type(error).__name__}: {error}. It must have 'psnr', "
            f"'parameters', and 'drops' with a number or null for each of its {len(name.split())} blocks."
        ) from error
    return Outcome(objectives, drops=drops)


def _check_whole(file: Path, networks: set[Blocks], found: dict[Blocks, Outcome], n_failed: int) -> None:
    """Check that the entries are the networks of the space.

    Raises:
        DataError: networks are missing that did not fail, or belong to another space.
    """
    missing, foreign = networks - found.keys(), found.keys() - networks
    if len(missing) != n_failed:
        raise DataError(
            f"{str(file)!r} lacks {len(missing)} of the {len(networks)} networks of its space, such as "
            f"{' '.join(min(missing)) if missing else 'none'!r}, but 'failed' in 'about' is {n_failed}. "
            f"Build the table again."
        )
    if foreign:
        raise DataError(
            f"{str(file)!r} has networks outside of its 'space' ({len(foreign)}), such as {' '.join(min(foreign))!r}. "
            f"Build the table again, or correct its 'space'."
        )


def best_so_far(table: Table, method: str, seed: int, budget: int, settings: EvolutionSettings) -> Float64:
    """Search the table; return the best PSNR so far after each evaluation, in dB."""
    if method == "random":
        # Random search is one large first generation, drawn from the prior without repeats.
        evolution = Evolution(table.space, seed, EvolutionSettings(n_generations=1, n_individuals=budget))
    else:
        evolution = Evolution(table.space, seed, settings, credit=CREDITS.build(method))
    found: list[float] = []
    while not evolution.done:
        for individual in evolution.ask():
            outcome = table.genomes[individual.blocks]
            evolution.tell(individual, outcome)
            # A failed network counts as the worst one in the table.
            found.append(min(table.psnr) if outcome.failed else outcome.objectives["psnr"])
    return np.maximum.accumulate(found)[:budget]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Float64) -> Estimate:
        """Estimate the mean of the distribution that the values come from."""
        from scipy.stats import bootstrap

        # Not BCa: it is undefined if nearly all values are equal, as when most searches find the best network.
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
        """Return ``better``, ``worse`` or ``no difference shown``, taking this as a difference to the baseline."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"

    def text(self, form: str = ".4f") -> str:
        """Return the mean and the interval as text."""
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


MEASURES: dict[str, Callable[[Float64], Float64]] = {
    "best": lambda curves: curves[:, -1],
    "area": lambda curves: curves.mean(axis=1),
}
"""What is compared: functions of curves of shape (seeds, evaluations)."""


def compare(table: Table, budget: int, n_seeds: int, settings: EvolutionSettings, plot: Path | None) -> None:
    """Search with every method, print the results, and draw them if ``plot`` is given.

    Raises:
        RecipeError: the budget is larger than the table, or there are fewer than two seeds.
    """
    if not 1 <= budget <= len(table.genomes) or n_seeds < 2:
        raise RecipeError(
            f"--budget {budget} --seeds {n_seeds}: the budget must be between 1 and {len(table.genomes)}, the "
            f"number of networks in the table, and there must be 2 seeds or more."
        )
    curves = {
        method: np.stack([best_so_far(table, method, seed, budget, settings) for seed in range(n_seeds)])
        for method in METHODS
    }
    print(", ".join(f"{key}: {value}" for key, value in table.about.items()))
    print(
        f"{len(table.genomes)} networks, the best {max(table.psnr):.4f} dB; evaluations per search: {budget}, "
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
    """Return the estimates for a method and for its difference to the baseline, as plain values."""
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
    """Print the estimates, and one line for each difference to the baseline."""
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
            print(f"{method} minus {BASELINE}, {name}: {Estimate(**difference).text('+.4f')} dB: {verdict}")


def draw(file: Path, curves: dict[str, Float64], table: Table) -> None:
    """Plot the mean of the best PSNR so far over the evaluations, with the intervals as bands."""
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
    axes.set_ylabel("best PSNR so far in dB")
    axes.set_title(f"{len(curves[BASELINE])} searches each, with 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    sys.exit(main())
