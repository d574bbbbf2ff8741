"""EDSR x2 with 5 blocks, 64 features and no mean shift: a network with published weights.

Run:       python tools/run.py recipes/edsr_f64b5_x2.py data.root=FOLDER_OF_DIV2K
Verify:    srtrain verify recipes/edsr_f64b5_x2.py --weights FILE.npz data.root=FOLDER_OF_SET5_AND_SET14
           FILE has the weights of MLCommons' mobile benchmark (mobile_open, Apache-2.0) as .npz, .pt or .safetensors.
Expected:  37.652 dB / 0.9592 on Set5, 33.250 dB / 0.9147 on Set14 (paper_y) for those weights
"""

import dataclasses

from _edsr import paper, small

from srtrain.recipe import Benchmark, Recipe, Spec


def recipe() -> Recipe:
    model = Spec("edsr", n_resblocks=5, n_feats=64, rgb_mean=(0.0, 0.0, 0.0))
    benchmarks: dict[str, Benchmark | None] = {
        "set5": Benchmark(Spec("set5"), protocol="paper_y", psnr=37.652, ssim=0.9592),
        "set14": Benchmark(Spec("set14"), protocol="paper_y", psnr=33.250, ssim=0.9147),
    }
    return dataclasses.replace(paper("edsr_f64b5_x2", scale=2, model=model), benchmarks=benchmarks)


def smoke() -> Recipe:
    return small(recipe())
