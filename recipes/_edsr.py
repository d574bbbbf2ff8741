"""What the EDSR recipes share: the two networks and the training row of the paper (section 4.2, table 1)."""

from __future__ import annotations

from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks

BASELINE = Spec("edsr", n_resblocks=16, n_feats=64)
FULL = Spec("edsr", n_resblocks=32, n_feats=256, res_scale=0.1)


def paper(name: str, scale: int, model: Spec) -> Recipe:
    """Return the paper's row: 300 000 updates on DIV2K 1-800, L1, Adam 1e-4 halved every 200 000."""
    return Recipe(
        name=name,
        scale=scale,
        model=model,
        # 48 px of input at every scale.
        data=Data(train=Spec("div2k_train"), gt_patch_px=48 * scale, batch_size=16, cache="mmap", workers=2),
        train=Train(steps=300_000, log_every=100),
        optim=Optim(
            Spec("adam", beta1=0.9, beta2=0.999), lr=1e-4, schedule=Spec("halve_every", period=200_000)
        ),
        benchmarks={"div2k_valid": Benchmark(Spec("div2k_valid"), protocol="div2k_rgb")},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000, keep=5),
            evaluate=Spec("evaluate", every=Epochs(200)),
            self_ensemble=Spec("self_ensemble_evaluate", every=100_000),
        ),
    )
