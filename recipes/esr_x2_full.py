"""The full training of a network found by a search; by default the authors' example with 520 595 parameters.

Run:       python tools/run.py recipes/esr_x2_full.py data.root=FOLDER_OF_DIV2K
           for another network add "model.blocks=('S_8_16_32', …)"; architecture.txt of a search has this line
Expected:  not published for this network; the paper's ESRN-V (324 000 parameters) reaches
           37.85 dB on Set5 (paper_y)
Time:      750 000 updates with batch 16
"""

from _esr import full

from srtrain.recipe import Recipe
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    return full("esr_x2_full", scale=2)


def smoke() -> Recipe:
    return twin(recipe(), n_feats=16, blocks=("S_2_8_16", "G_3_8_16", "C_2_8_16"))
