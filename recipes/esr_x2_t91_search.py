"""A small search for a CPU: networks of four or five small blocks, trained on T91, scored on crops of Set5.

Run:       python tools/run.py recipes/esr_x2_t91_search.py data.root=DATA data.train.root=DATA/T91
           srtrain launch -n 2 recipes/esr_x2_t91_search.py data.root=DATA data.train.root=DATA/T91
Expected:  35.88 dB on the crops for the best of 24 candidates (paper_y); see docs/results.md
Time:      half an hour with two processes on two cores
"""

import dataclasses

from _esr import search, small_search

from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train

SPACE = {
    "types": ("S", "G", "C"),
    "type_prob": (1, 1, 1),
    "n_convs": (2, 4),
    "conv_prob": (1, 1),
    "growths": (8, 16),
    "growth_prob": (1, 1),
    "n_nodes": 5,
    "min_active": 4,
    "min_params": 38_000,
    "max_params": 40_000,
}


def recipe() -> Recipe:
    paper = search("esr_x2_t91_search", scale=2)
    spec = paper.hooks["search"]
    assert spec is not None
    evolution = {
        **spec.args["evolution"],
        "n_generations": 6,
        "n_individuals": 4,
        "n_elites": 3,
        "mutation_rate": 0.2,
    }
    crops = {"lq_px": 48, "n_per_picture": 4}
    return dataclasses.replace(
        paper,
        model=Spec("esrn", n_feats=16),
        data=Data(
            root="data",
            train=Spec("folder", root="data/T91", lr_type="on_the_fly"),
            gt_patch_px=48,
            batch_size=8,
        ),
        train=Train(steps=700, log_every=100),
        # A short training of a small network tolerates and needs a high learning rate that falls to 0.
        optim=dataclasses.replace(paper.optim, lr=2e-3, schedule=Spec("cosine", warmup=50)),
        benchmarks={"set5": Benchmark(Spec("set5"), protocol="paper_y")},
        hooks={
            **paper.hooks,
            "search": Spec(
                spec.name, **{**spec.args, "space": SPACE, "evolution": evolution, "crops": crops}
            ),
        },
    )


def smoke() -> Recipe:
    return small_search(recipe())
