"""Write one sound example of every kind of file that srtrain reads, and a run folder with all its side files."""

import io
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
import tifffile
from onnx import TensorProto, helper
from PIL import Image, ImageCms, PngImagePlugin

from srtrain.cli.main import main
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.export.write import export
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.weights import edsr_pytorch, torch_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_ARGS = {"n_resblocks": 1, "n_feats": 4}
_SMALL = (
    "model.n_resblocks=1 model.n_feats=4 train.steps=2 train.mode=pynative train.log_every=1 data.gt_patch_px=16 "
    "data.batch_size=2 data.train=folder data.train.lr_type=on_the_fly data.cache=mmap optim.schedule=constant "
    "hooks.checkpoint.every=1 hooks.evaluate.every=1 hooks.require_gain=None"
)


def write_sound(folder: Path, recipe: Path) -> None:
    """Write everything into ``folder``.

    Args:
        folder: is made. ``pictures``, ``weights``, ``archives`` and ``exported`` hold files, ``run`` is a run folder,
            ``checkpoint`` one step of a run, ``set`` a data set, ``cache`` its decoded pictures, ``small.png`` one.
        recipe: the quickstart, which is made smaller for ``run``.
    """
    photo = read_rgb(embedded(2, names=("chelsea",))[0].gt)[100:124, 120:152]
    for name in ("pictures", "weights", "archives", "exported", "set/HR"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(photo).save(folder / "small.png")
    for k in range(3):
        Image.fromarray(np.roll(photo, 5 * k, axis=1)).save(folder / "set" / "HR" / f"{k}.png")
    _pictures(folder / "pictures", photo)
    _weights(folder)
    _archives(folder / "archives")
    for suffix in (".onnx", ".param", ".mindir"):
        export(folder / "checkpoint", folder / "exported" / f"net{suffix}")
    _foreign_onnx(folder / "exported" / "foreign.onnx")
    where = [f"data.root={folder / 'set'}", f"data.cache_dir={folder / 'cache'}", f"run_dir={folder / 'run'}"]
    if main(["run", str(recipe), *_SMALL.split(), *where]) != 0:
        raise RuntimeError("the small run failed")


def _pictures(folder: Path, photo: np.ndarray) -> None:
    image = Image.fromarray(photo)
    alpha = Image.fromarray(np.dstack([photo, photo[..., 0]]))
    deep = photo.astype(np.uint16) * 257
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "A1b2" * 100_000, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "rgb.png", pnginfo=text, icc_profile=profile, exif=exif)
    image.quantize(16).save(folder / "palette.png", transparency=3)
    alpha.save(folder / "alpha.png")
    image.convert("1").save(folder / "one_bit.png")
    Image.fromarray(deep[..., 0]).save(folder / "deep.png")
    image.save(folder / "plain.jpg", exif=exif, icc_profile=profile)
    image.convert("L").save(folder / "grey.jpg", progressive=True)
    image.save(folder / "lossy.webp")
    alpha.save(folder / "lossless.webp", lossless=True)
    image.save(folder / "rgb.bmp")
    image.quantize(16).save(folder / "palette.bmp")
    tifffile.imwrite(folder / "tiled.tif", deep, photometric="rgb", tile=(16, 16), compression="lzw")
    tifffile.imwrite(
        folder / "planar.tif", np.moveaxis(photo, 2, 0), photometric="rgb", planarconfig="separate"
    )
    tifffile.imwrite(
        folder / "alpha.tif", np.dstack([deep, deep[..., :1]]), photometric="rgb", extrasamples=["assocalpha"],
        compression="zlib", predictor=True, byteorder=">",
    )  # fmt: skip
    image.save(folder / "jpeg_inside.tif", compression="jpeg")


def _weights(folder: Path) -> None:
    model = EDSR(2, **_ARGS)
    initialise(model, kaiming_uniform(), 1)
    tensors = {name: p.asnumpy() for name, p in model.parameters_dict().items()}
    about = {"model": "edsr", "model_args": {**_ARGS, "kernel_px": 3, "res_scale": 1.0}, "scale": 2}
    about["model_args"]["rgb_mean"] = [114.4, 111.5, 103.0]
    for name in ("net.pt", "net.npz", "net.safetensors"):
        edsr_pytorch.write(folder / "weights" / name, tensors, about)
    theirs = safetensors.numpy.load_file(folder / "weights" / "net.safetensors")
    _old_torch(folder / "weights" / "old.pth", theirs)
    saved = CheckpointStore(folder / "store", about).save(3, {"model": model.parameters_dict()}, {})
    shutil.copy(saved / "model.ckpt", folder / "weights" / "net.ckpt")
    (folder / "checkpoint" / "checkpoints").mkdir(parents=True)
    shutil.copytree(saved, folder / "checkpoint" / "checkpoints" / saved.name)
    (folder / "checkpoint" / "checkpoints" / "latest").write_text(f"{saved.name}\n")


def _old_torch(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a file as PyTorch before 1.6 did."""
    facts = {"protocol_version": 1001, "little_endian": True}
    parts = [pickle.dumps(value, 2) for value in (_MAGIC, 1001, facts)]
    parts.append(torch_pickle.dump({name: array.shape for name, array in tensors.items()}))
    parts.append(pickle.dumps([str(i) for i in range(len(tensors))], 2))
    for array in tensors.values():
        parts += [struct.pack("<q", array.size), np.ascontiguousarray(array, "<f4").tobytes()]
    path.write_bytes(b"".join(parts))


def _archives(folder: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 90)).save(picture, "png")
    for name, how in (("stored.zip", zipfile.ZIP_STORED), ("packed.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / name, "w", how) as archive:
            archive.writestr("set/", "")
            for k in range(3):
                archive.writestr(f"set/HR/{k}.png", picture.getvalue())
            archive.writestr("set/read me.txt", "text " * 200)
    with zipfile.ZipFile(folder / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("set/HR/0.png", picture.getvalue() * 3)


def _foreign_onnx(path: Path) -> None:
    """Write a network of another program: a convolution and a shuffle of pixels."""
    weight = (np.random.default_rng(0).standard_normal((12, 3, 3, 3)) / 20).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["wide"], ["output"], blocksize=2, mode="CRD"),
    ]
    graph = helper.make_graph(
        nodes,
        "x2",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "H", "W"])],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
