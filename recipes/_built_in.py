"""Shared by the recipes of the built-in models: EDSR networks for a CPU, trained on the 91 pictures of T91."""

from __future__ import annotations

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks


def built_in(name: str, n_resblocks: int, n_feats: int, steps: int) -> Recipe:
    """Return the training of a built-in model x2. ``scale=3`` and ``scale=4`` need no other change.

    Args:
        name: name of the recipe.
        n_resblocks: residual blocks of the network.
        n_feats: features of the network.
        steps: updates.
    """
    return Recipe(
        name=name,
        scale=2,
        model=Spec("edsr", n_resblocks=n_resblocks, n_feats=n_feats),
        data=Data(
            root="data",
            # T91 has no low-resolution files. The shortest side of its pictures is 78 px; 72 px suits every scale.
            train=Spec("folder", root="data/T91", lr_type="on_the_fly"),
            gt_patch_px=72,
            batch_size=8,
        ),
        train=Train(steps=steps, log_every=200),
        # A small network tolerates ten times the paper's learning rate. The cosine lowers it to 0 at the end.
        optim=Optim(lr=1e-3, schedule=Spec("cosine", warmup=100)),
        benchmarks={
            "set5": Benchmark(Spec("set5"), protocol="paper_y"),
            "set14": Benchmark(Spec("set14"), protocol="paper_y"),
        },
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000),
            evaluate=Spec("evaluate", every=2000),
        ),
    )
