"""Trains a network found by recipes/esr_x2_t91_search.py with the settings of the search but another seed, to compare.

Run:       python tools/run.py recipes/esr_x2_t91_full.py data.root=DATA data.train.root=DATA/T91
           for another network than the authors' example add "model.blocks=('S_4_8_16', …)"
Expected:  35.10 dB on Set5 for the authors' example (paper_y); docs/results.md has the table
Time:      two minutes for a network of that search, ten for the authors' example
"""

import dataclasses

from esr_x2_t91_search import recipe as search

from srtrain.recipe import Benchmark, Recipe, Spec, standard_hooks
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    searched = search()
    return dataclasses.replace(
        searched,
        name="esr_x2_t91_full",
        model=Spec("esrn", n_feats=32),
        benchmarks={name: Benchmark(Spec(name), protocol="paper_y") for name in ("set5", "set14")},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=350),
            evaluate=Spec("evaluate", every=searched.train.steps),
        ),
        plugins=(),
        seed=11,
    )


def smoke() -> Recipe:
    return twin(recipe(), n_feats=16, blocks=("S_2_8_16", "C_2_8_16"))
