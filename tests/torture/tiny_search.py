"""The smallest complete search: three generations of three networks, four updates each."""

from pathlib import Path

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train


def recipe() -> Recipe:
    space = {
        "types": ("S", "C"), "type_prob": (1, 1), "n_convs": (1, 2), "conv_prob": (1, 1), "growths": (4,),
        "growth_prob": (1,), "n_nodes": 2, "min_active": 1, "min_params": 0, "max_params": 1_000_000,
    }  # fmt: skip
    return Recipe(
        name="tiny_search",
        scale=2,
        model=Spec("esrn", n_feats=4),
        data=Data(train=Spec("folder", lr_type="on_the_fly"), gt_patch_px=24, batch_size=2, cache="mmap"),
        train=Train(steps=4, log_every=2, threads=1, mode="pynative"),
        optim=Optim(lr=2e-3),
        benchmarks={"crops": Benchmark(Spec("folder", lr_type="on_the_fly", last=2))},
        hooks={
            "search": Spec(
                "esr_search",
                space=space,
                evolution={"n_generations": 3, "n_individuals": 3, "n_elites": 2},
                crops={"lq_px": 16, "n_per_picture": 1},
            ),
        },
        device=Spec("cpu", kernels="plain"),  # the library would be compiled for each run
        plugins=("esr", str(Path(__file__).with_name("moments.py"))),
        seed=5,
    )
