"""srtrain: train, evaluate, search, export and run super-resolution networks on MindSpore."""

import os
import time

STARTED = time.perf_counter()  # what "seconds after start-up" counts from

# Must be set before MindSpore is imported. On CPUs with AVX-512, the oneDNN inside MindSpore 2.10 finds no
# fast kernel for MindSpore's convolutions and falls back to one forty times slower; told to stop at AVX2, it
# takes the fast one (docs/mindspore.md). It changes nothing on other CPUs, and nothing on Ascend.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

__version__ = "0.1.0"
