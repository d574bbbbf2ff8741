"""A small EDSR x2 that learns from three pictures in under two minutes on a CPU.

Run:       python tools/run.py recipes/quickstart.py        (or: sh tools/quickstart.sh)
Expected:  at least 0.8 dB above bicubic's 35.25 dB on chelsea, which is not in the training set (paper_y)
"""

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    return Recipe(
        name="quickstart",
        scale=2,
        model=Spec("edsr", n_resblocks=4, n_feats=32),
        data=Data(train=Spec("embedded"), gt_patch_px=48, batch_size=8),
        train=Train(steps=600, log_every=100),
        # 2e-3 is high for EDSR, but a small network tolerates it. The cosine lowers it to 0 at the end.
        optim=Optim(lr=2e-3, schedule=Spec("cosine", warmup=50)),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)), protocol="paper_y")},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=300),
            evaluate=Spec("evaluate", every=200),
            require_gain=Spec("require_gain", db=0.5),
        ),
    )


def smoke() -> Recipe:
    return twin(recipe(), n_resblocks=2, n_feats=16)
