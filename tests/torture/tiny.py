"""The smallest complete training: 600 weights, 12 updates, 6 checkpoints, 4 evaluations, pictures and events."""

from pathlib import Path

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks


def recipe() -> Recipe:
    return Recipe(
        name="tiny",
        scale=2,
        model=Spec("edsr", n_resblocks=1, n_feats=4),
        data=Data(
            train=Spec("folder", lr_type="on_the_fly"), gt_patch_px=24, batch_size=2, cache="mmap", workers=1
        ),
        train=Train(steps=12, log_every=2, threads=1, mode="pynative"),
        optim=Optim(lr=2e-3, schedule=Spec("cosine", warmup=2)),
        benchmarks={"crops": Benchmark(Spec("folder", lr_type="on_the_fly", last=2))},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=2, keep=2),
            evaluate=Spec("evaluate", every=3),
            ema=Spec("ema", decay=0.9),
            moments=Spec("moments"),
        ),
        device=Spec("cpu", kernels="plain"),  # the library would be compiled for each run
        plugins=(str(Path(__file__).with_name("moments.py")),),
    )
