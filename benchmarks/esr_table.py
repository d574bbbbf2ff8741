"""Train every network of a small space once. ``esr_credit.py`` compares search strategies on the resulting table.

    pip install '.[cpu]'
    srtrain launch -n 2 benchmarks/esr_table.py data.root=DATA data.train.root=DATA/T91

This file is a recipe; the work is done by the hook in ``esr_table_hook.py``. Each network gets a short training on
T91 and is scored on crops of Set5, as in a search. If the run is killed, ``--resume`` continues without training any
network twice. The table is written to ``table.json`` in the run folder.
"""

from __future__ import annotations

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train

SPACE = {
    "types": ("S", "G", "C"),
    "type_prob": (1, 1, 1),
    "n_convs": (2, 4),
    "conv_prob": (1, 1),
    "growths": (8,),
    "growth_prob": (1,),
    "n_nodes": 4,
    "min_active": 3,
    "min_params": 14_700,
    "max_params": 15_600,
}


def recipe() -> Recipe:
    """Return the recipe; its training settings apply to each network of the space."""
    return Recipe(
        name="esr_table",
        scale=2,
        # All blocks have 8 channels in and out, so that ablation can bypass each of them.
        model=Spec("esrn", n_feats=8),
        data=Data(
            root="data",
            train=Spec("folder", root="data/T91", lr_type="on_the_fly"),
            gt_patch_px=32,
            batch_size=4,
        ),
        train=Train(steps=300, log_every=100, threads=1),
        optim=Optim(lr=2e-3, schedule=Spec("cosine", warmup=20)),
        benchmarks={"set5": Benchmark(Spec("set5"), protocol="paper_y")},
        hooks={
            "table": Spec(
                "esr_table", space=SPACE, credit=Spec("ablation"), crops={"lq_px": 48, "n_per_picture": 4}
            )
        },
        plugins=("esr", "esr_table_hook.py"),
        seed=10,
    )
