"""Upscale pictures: ``python tools/infer.py edsr_x2.onnx photo.jpg`` (``srtrain infer``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["infer", *sys.argv[1:]]))
