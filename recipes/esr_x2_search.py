"""The ESR-EA search at x2 with the authors' defaults: 20 generations of 8 networks with 315 000 to 325 000 parameters.

Run:       python tools/run.py recipes/esr_x2_search.py data.root=FOLDER_OF_DIV2K
           srtrain launch -n 8 recipes/esr_x2_search.py data.root=FOLDER_OF_DIV2K --device ascend --plugin ascend
Expected:  runs/esr_x2_search/report.html and architecture.txt; the paper's ESRN-V (324 000
           parameters) reaches 37.85 dB on Set5 (paper_y) after full training (recipes/esr_x2_full.py)
Time:      160 trainings with 25 000 updates each
"""

from _esr import search, small_search

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return search("esr_x2_search", scale=2)


def smoke() -> Recipe:
    return small_search(recipe())
