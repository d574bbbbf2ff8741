"""From a checkpoint to a file that others run: MindIR, ONNX, AIR, ncnn, each checked against the checkpoint."""
