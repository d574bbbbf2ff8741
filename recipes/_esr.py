"""Shared by the ESR recipes: the space, the evolution, and the authors' two trainings."""

from __future__ import annotations

import dataclasses

from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks

ADAM = Spec("adam", beta1=0.9, beta2=0.999)
SPACE = {
    "types": ("S", "G", "C"),
    "type_prob": (1, 1, 1),
    "n_convs": (4, 6, 8),
    "conv_prob": (1, 1, 1),
    "growths": (8, 16, 24, 32),
    "growth_prob": (1, 1, 1, 1),
    "n_nodes": 20,
    "min_active": 16,
    "min_params": 315_000,
    "max_params": 325_000,
}
EVOLUTION = {
    "n_generations": 20,
    "n_individuals": 8,
    "n_elites": 4,
    "mutation_rate": 0.05,
    "selection": "tournament",
}


def data(scale: int) -> Data:
    """Return the training data: DIV2K, input patches of 64 px, batch 16."""
    return Data(train=Spec("div2k_train"), gt_patch_px=64 * scale, batch_size=16, cache="mmap", workers=2)


def search(name: str, scale: int) -> Recipe:
    """Return a search with the authors' settings. A candidate trains for 500 epochs with Adam, halved at 100 and 200.

    Candidates are scored on fixed crops. The authors used random ones.
    """
    return Recipe(
        name=name,
        scale=scale,
        model=Spec("esrn", n_feats=32),
        data=data(scale),
        train=Train(epochs=500, log_every=Epochs(1)),
        # The authors' documentation gives 1e-4 in general and 1e-3 for MindSpore.
        optim=Optim(ADAM, lr=1e-3, schedule=Spec("milestones", at=(Epochs(100), Epochs(200)), gamma=0.5)),
        benchmarks={"div2k_valid": Benchmark(Spec("div2k_valid"), protocol="paper_y")},
        hooks={
            "search": Spec(
                "esr_search",
                space=SPACE,
                evolution=EVOLUTION,
                objectives=("psnr",),
                credit=Spec("uniform"),
                crops={"lq_px": 64, "n_per_picture": 1},
            ),
            "watchdog": Spec("watchdog"),
        },
        plugins=("esr",),
        seed=10,
    )


def full(name: str, scale: int) -> Recipe:
    """Return the full training of the authors: 15 000 epochs, halved at 8000, 12 000, 13 500 and 14 500."""
    milestones = tuple(Epochs(n) for n in (8000, 12_000, 13_500, 14_500))
    names = ("div2k_valid", "set5", "set14", "b100")
    return Recipe(
        name=name,
        scale=scale,
        model=Spec("esrn", n_feats=32),
        data=data(scale),
        train=Train(epochs=15_000, log_every=Epochs(1)),
        optim=Optim(ADAM, lr=1e-3, schedule=Spec("milestones", at=milestones, gamma=0.5)),
        benchmarks={name: Benchmark(Spec(name), protocol="paper_y") for name in names},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=Epochs(100), keep=5),
            evaluate=Spec("evaluate", every=Epochs(100)),
            self_ensemble=Spec("self_ensemble_evaluate", every=Epochs(1000)),
        ),
        seed=10,
    )


def small_search(recipe: Recipe) -> Recipe:
    """Return the one-minute version of a search: three small blocks, three generations of three candidates."""
    spec = recipe.hooks["search"]
    assert spec is not None
    space = {
        **{name: spec.args["space"][name] for name in ("types", "type_prob")},
        "n_convs": (1, 2),
        "conv_prob": (1, 1),
        "growths": (8,),
        "growth_prob": (1,),
        "n_nodes": 3,
        "min_active": 2,
        "min_params": 0,
        "max_params": 1_000_000,
    }
    evolution = {**spec.args["evolution"], "n_generations": 3, "n_individuals": 3, "n_elites": 2}
    tiny = Spec(
        spec.name,
        **{**spec.args, "space": space, "evolution": evolution, "crops": {"lq_px": 24, "n_per_picture": 4}},
    )
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}_smoke",
        model=Spec("esrn", **{**recipe.model.args, "n_feats": 8}),
        data=Data(
            train=Spec("embedded"), gt_patch_px=24 * recipe.scale, batch_size=4, degrade=recipe.data.degrade
        ),
        train=Train(steps=40, log_every=20),
        optim=dataclasses.replace(recipe.optim, lr=2e-3, schedule=Spec("cosine")),
        benchmarks={
            "chelsea": Benchmark(
                Spec("embedded", names=("chelsea",)), protocol="paper_y", degrade=recipe.data.degrade
            )
        },
        hooks={**recipe.hooks, "search": tiny},
    )
