"""The cases: which file is damaged in which way, and which command then reads it.

A family is a function that prepares case ``i`` in an empty folder and returns a ``Case``. Everything that it chooses
comes from ``rng``, which depends on the seed, the family and ``i`` alone.
"""

import io
import os
import pickle
import random
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import damage
import numpy as np
import onnx
from onnx import helper

MARKER = "foreign_code_ran"
"""The file that every malicious input makes in the working folder if its code runs."""

_SCRIPT = f"open({MARKER!r}, 'w')"


@dataclass(frozen=True)
class Case:
    """One command on one damaged file.

    Attributes:
        what: the file and the damage, for the report.
        words: the command line.
        names: a failure has to mention one of these.
    """

    what: str
    words: list[str]
    names: tuple[str, ...]


Family = Callable[[random.Random, Path, Path], Case]
FAMILIES: dict[str, Family] = {}
"""By name; called with the source of random numbers, the folder of the sound files, and the working folder."""


def family(function: Family) -> Family:
    FAMILIES[function.__name__] = function
    return function


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, (_SCRIPT,)


def copied(sound: Path, here: Path, *names: str) -> None:
    """Copy sound files and folders into the working folder."""
    for name in names:
        source = sound / name
        if source.is_dir():
            shutil.copytree(source, here / source.name)
        else:
            shutil.copy(source, here / source.name)


def one_of(rng: random.Random, folder: Path, *suffixes: str) -> Path:
    files = sorted(file for file in folder.iterdir() if not suffixes or file.suffix in suffixes)
    return rng.choice(files)


@family
def pictures(rng: random.Random, sound: Path, here: Path) -> Case:
    source = one_of(rng, sound / "pictures")
    data = source.read_bytes()
    if source.suffix == ".png" and rng.random() < 0.6:
        data = damage.png(rng, data)
    elif rng.random() < 0.05:
        data, source = _bomb_png(rng), Path("bomb.png")
    else:
        data = damage.any_bytes(rng, data)
    name = f"bad_{source.stem}{source.suffix}"
    if rng.random() < 0.35:
        copied(sound, here, "set")
        (here / "set" / "HR" / name).write_bytes(data)
        words = ["data", "check", "folder", "lr_type=on_the_fly", "--root", "set", "--scale", "2"]
        return Case(
            f"data check {source.name}", [*words, *rng.choice(([], ["--no-psnr"], ["--json"]))], (name,)
        )
    (here / name).write_bytes(data)
    words = ["infer", str(sound / "exported" / "net.onnx"), name, "--to", "out", "--threads", "1"]
    return Case(f"infer {source.name}", words, (name,))


def _bomb_png(rng: random.Random) -> bytes:
    """Return a small file that claims to be huge, or one that is: zeros compress a thousandfold."""
    side = rng.choice((20_000, 65_535, 2**31 - 1))
    depth, colour = rng.choice(((8, 2), (16, 6), (1, 0), (8, 3)))
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, rng.choice((0, 1)))
    body = zlib.compress(bytes(rng.choice((100, 20_000_000))), 9)
    chunks = [
        (b"IHDR", head),
        *([(b"PLTE", bytes(6))] if colour == 3 else []),
        (b"IDAT", body),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@family
def weights(rng: random.Random, sound: Path, here: Path) -> Case:
    if rng.random() < 0.25:
        name, data = _malicious_weights(rng, sound)
    else:
        source = one_of(rng, sound / "weights")
        name, data = f"bad{source.suffix}", damage.any_bytes(rng, source.read_bytes())
        if source.suffix == ".safetensors" and rng.random() < 0.5:
            (n,) = struct.unpack("<Q", source.read_bytes()[:8])
            head = damage.json_value(rng, source.read_bytes()[8 : 8 + n])
            data = struct.pack("<Q", len(head)) + head + source.read_bytes()[8 + n :]
    (here / name).write_bytes(data)
    copied(sound, here, "small.png")
    if name.endswith(".ckpt"):
        words = ["convert", "edsr-pytorch", name, "--to", "out.npz"]
    else:
        words = ["convert", "edsr-pytorch", name, "--to", rng.choice(("out.npz", "out"))]
    if rng.random() < 0.1:
        words = ["infer", name, "small.png", "--to", "out.png", "--engine", "mindspore"]
    return Case(f"{words[0]} {name}", words, (name,))


def _malicious_weights(rng: random.Random, sound: Path) -> tuple[str, bytes]:
    """Return files that carry code, claim too much, or are of another kind than their suffix says."""
    file = io.BytesIO()
    kind = rng.randrange(9)
    if kind == 0:  # a pickle, as torch.load would run it
        return f"bad{rng.choice(('.pt', '.pth', '.ckpt'))}", pickle.dumps(Evil(), rng.choice((0, 2, 4)))
    if kind == 1:  # in a zip file, in place of the description
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"w": Evil()}, 2))
            archive.writestr("archive/data/0", bytes(16))
        return "bad.pt", file.getvalue()
    if kind == 2:
        np.savez(file, a=np.array([Evil()], object))
        return "bad.npz", file.getvalue()
    if kind == 3:
        np.save(file, np.array([Evil()], object) if rng.random() < 0.5 else np.zeros(3), allow_pickle=True)
        return "bad.npz", file.getvalue()
    if kind == 4:  # members without a name, or with a name of no array
        names = ("", "/", "a/", ".npy", "..", "\0.npy", "a" * 60_000)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(
                zipfile.ZipInfo(rng.choice(names)), rng.choice((b"", b"\x93NUMPY\x01\0v\0{", b"x"))
            )
        return rng.choice(("bad.npz", "bad.pt")), file.getvalue()
    if kind == 5:  # an array that claims more than it has
        shape = rng.choice(("(4000000000,)", "(99999, 99999)", "(-1,)", "(2**70,)", "(1,)*70", "'x'"))
        head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + bytes(8))
        return "bad.npz", file.getvalue()
    if kind == 6:  # a bomb
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("a.npy", "w") as member,
        ):
            head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (50000000,), }\n"
            member.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head)
            for _ in range(20):
                member.write(bytes(10_000_000))
        return "bad.npz", file.getvalue()
    if kind == 7:  # another kind of file under this name
        other = one_of(rng, sound / "weights")
        return f"bad{rng.choice(('.pt', '.pth', '.npz', '.safetensors', '.ckpt'))}", other.read_bytes()
    data = (
        sound / "weights" / "net.pt"
    ).read_bytes()  # the description, damaged byte by byte, in a sound zip file
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(file, "w") as archive:
        for info in source.infolist():
            content = source.read(info)
            archive.writestr(
                info.filename, damage.any_bytes(rng, content) if info.filename.endswith(".pkl") else content
            )
    return "bad.pt", file.getvalue()


_RUN_COMMANDS = (
    ["run", "run", "--resume"],
    ["run", "run", "--resume", "train.steps=3"],
    ["run", "run", "--print-config"],
    ["count", "run"],
    ["convert", "edsr-pytorch", "run", "--to", "out.npz"],
    ["infer", "run", "small.png", "--to", "out.png", "--engine", "mindspore"],
    ["evaluate", "run", "--sets", "folder=set", "--lr-type", "on_the_fly", "--engine", "mindspore"],
)
_POINTERS = (
    b"",
    b"\0",
    b"step_99999999\n",
    b"../../etc\n",
    b"/etc/passwd\n",
    b"\xff\xfe",
    b"step_1",
    b"x" * 5000,
)


@family
def run_folders(rng: random.Random, sound: Path, here: Path) -> Case:
    copied(sound, here, "run", "small.png", "set")
    steps = [f"checkpoints/step_0000000{k}/{name}" for k in (1, 2) for name in ("state.json", "model.ckpt")]
    names = [
        "recipe.json",
        "metrics.jsonl",
        "checkpoints/latest",
        "checkpoints/best",
        "checkpoints/best.json",
        *steps,
    ]
    names += [
        "checkpoints/step_00000002/optimizer.ckpt",
        "env.json",
        "files.txt",
        "command.txt",
        "recipe.json",
    ]
    names += [next((here / "run").glob("events.*")).name, "recipe.json", steps[2], "metrics.jsonl"]
    name = rng.choice(names)
    file = here / "run" / name
    good = file.read_bytes()
    if file.name in ("latest", "best") and rng.random() < 0.6:
        file.write_bytes(rng.choice(_POINTERS))
    elif file.suffix in (".json", ".jsonl") and rng.random() < 0.7:
        file.write_bytes(damage.json_value(rng, good))
    elif rng.random() < 0.1:
        file.unlink()
    else:
        file.write_bytes(damage.any_bytes(rng, good))
    if name == "recipe.json" and rng.random() < 0.3:
        (here / "run" / "evil.py").write_text(f"{_SCRIPT}\n")
        file.write_bytes(good.replace(b'"plugins": []', b'"plugins": ["run/evil.py"]'))
    words = list(rng.choice(_RUN_COMMANDS))
    return Case(f"{' '.join(words[:2])} with {name.rpartition('/')[2][:20]}", words, ("run",))


@family
def caches(rng: random.Random, sound: Path, here: Path) -> Case:
    copied(sound, here, "cache")
    file = rng.choice(sorted((here / "cache").rglob("manifest.jsonl")))
    data = file.read_bytes()
    file.write_bytes(damage.json_value(rng, data) if rng.random() < 0.7 else damage.any_bytes(rng, data))
    if rng.random() < 0.2:
        pixels = file.with_name("pictures.u8")
        pixels.write_bytes(damage.cut(rng, pixels.read_bytes()))
    root = str(sound / "set")
    words = [
        "data",
        "cache",
        "folder",
        "--root",
        root,
        "--scale",
        "2",
        "--dir",
        "cache",
        "lr_type=on_the_fly",
    ]
    return Case("data cache with a manifest", words, ("cache",))


@family
def archives(rng: random.Random, sound: Path, here: Path) -> Case:
    if rng.random() < 0.5:
        name, data = _malicious_zip(rng)
    else:
        source = one_of(rng, sound / "archives")
        name, data = source.name, damage.any_bytes(rng, source.read_bytes())
    (here / f"bad_{name}").write_bytes(data)
    return Case(f"data unpack {name}", ["data", "unpack", f"bad_{name}", "--to", "out"], (f"bad_{name}",))


def _malicious_zip(rng: random.Random) -> tuple[str, bytes]:
    file = io.BytesIO()
    kind = rng.randrange(6)
    if kind == 5:  # another kind of archive
        with tarfile.open(fileobj=file, mode=f"w:{rng.choice(('', 'gz', 'xz'))}") as tar:
            info = tarfile.TarInfo(rng.choice(("../up.png", "/tmp/x.png", "set/0.png")))
            info.size = 5
            tar.addfile(info, io.BytesIO(b"01234"))
        return "set.zip", file.getvalue()
    if kind == 0:
        names = (
            "",
            "/",
            "//",
            "../up.png",
            "/tmp/x.png",
            "C:\\x.png",
            "a\\..\\..\\b.png",
            ".",
            "..",
            "a/./../../b",
        )
        odd = (
            "x" * 300 + ".png",
            "a\0b.png",
            "/".join("d" * 400),
            "\ud800",
            "con.png",
            "a\nb.png",
            "é" * 200,
        )
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a"), b"x")
        name = rng.choice(names + odd).encode("utf-8", "surrogatepass")
        data = file.getvalue()
        for place, size_at in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):
            at = data.index(place)
            n_fixed = 30 if size_at == 26 else 46
            head = data[at : at + n_fixed]
            head = head[:size_at] + struct.pack("<H", len(name)) + head[size_at + 2 :]
            data = data[:at] + head + name + data[at + n_fixed + 1 :]
        end = data.rindex(b"PK\x05\x06")
        start = data.index(b"PK\x01\x02")
        return "names.zip", data[: end + 12] + struct.pack("<II", end - start, start) + data[end + 20 :]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind == 1:  # a link, a pipe or a device
            info = zipfile.ZipInfo("set/0.png")
            info.external_attr = (rng.choice((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR)) | 0o777) << 16
            archive.writestr(info, "../../../etc/passwd")
        elif kind == 2:  # a bomb
            for k in range(4):
                archive.writestr(f"set/{k}.png", bytes(60_000_000))
        elif kind == 3:  # one name twice, and a file where a folder is needed
            for name in rng.choice((("a/b.png", "a//b.png"), ("a", "a/b.png"), ("a/b.png", "a"))):
                archive.writestr(name, "x")
        else:
            archive.writestr("set/HR/0.png", rng.randbytes(3000))
    data = bytearray(file.getvalue())
    if kind == 4:  # lies about the size, the method, the checksum, or the need for a password
        at = data.rindex(b"PK\x01\x02") + rng.choice((8, 10, 16, 20, 24, 42))
        struct.pack_into("<H", data, at, rng.choice((0, 1, 9, 14, 99, 0xFFFF)))
    return "odd.zip", bytes(data)


@family
def exported(rng: random.Random, sound: Path, here: Path) -> Case:
    copied(sound, here, "small.png")
    for file in (sound / "exported").iterdir():
        shutil.copy(file, here / f"bad_{file.name}")
    names = ("bad_net.onnx", "bad_foreign.onnx", "bad_net.param", "bad_net.mindir")
    name = rng.choices(names, (4, 4, 3, 1))[0]
    file = here / name
    damaged = file
    if name.endswith(".param"):
        damaged = here / rng.choice(("bad_net.param", "bad_net.bin", "bad_net.param.json"))
    how = rng.random()
    if name.endswith(".mindir"):
        damaged = here / rng.choice(("bad_net.mindir", "bad_net.mindir.json"))
    if damaged.suffix == ".json":
        damaged.write_bytes(damage.json_value(rng, damaged.read_bytes()))
    elif damaged.suffix == ".onnx" and how < 0.6:
        damaged.write_bytes(_odd_onnx(rng, damaged.read_bytes()))
    else:
        damaged.write_bytes(damage.any_bytes(rng, damaged.read_bytes()))
    words = ["infer", name, "small.png", "--to", "out.png", "--threads", "1"]
    return Case(f"infer {damaged.name[4:]}", words, (damaged.name, name))


def _odd_onnx(rng: random.Random, data: bytes) -> bytes:
    """Change one thing in a network so that the file stays a sound ONNX file as far as its encoding goes."""
    model = onnx.load_from_string(data)
    graph = model.graph
    kind = rng.randrange(9)
    if kind == 0 and model.metadata_props:
        entry = rng.choice(model.metadata_props)
        entry.value = rng.choice(("", "{", "[" * 9999, '{"batch": 0}', '{"scale": -1}', '{"scale": 1e999}'))
        if rng.random() < 0.5:
            entry.value = damage.json_value(
                rng, b'{"scale": 2, "model_args": {}, "receptive_px": 3}'
            ).decode()
    elif kind == 1:
        rng.choice(graph.node).op_type = rng.choice(("Nonsense", "Loop", "Identity", "NonZero", ""))
    elif kind == 2:
        del graph.node[rng.randrange(len(graph.node))]
    elif kind == 3:
        node = rng.choice(graph.node)
        node.input[:] = rng.choice(([], list(node.output), ["gone"], [*node.input, *node.input]))
    elif kind == 4:
        tensor = rng.choice(graph.initializer)
        tensor.dims[:] = rng.choice(([], [0], [-1], [2**40], [1] * 9, [*tensor.dims, 1]))
    elif kind == 5:
        tensor = rng.choice(graph.initializer)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", rng.choice(("/etc/passwd", "../../x", "gone.bin"))), ("offset", "0")):
            tensor.external_data.add(key=key, value=value)
    elif kind == 6:
        shape = rng.choice(
            [[0, 3, 8, 8], [2, 3, "h", "w"], [1, 1, "h", "w"], ["n", 3, 2**31, 1], [3], [1, 3, 5, 7]]
        )
        graph.input[0].CopyFrom(helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape))
    elif kind == 7:
        for attribute in graph.node[-1].attribute:
            attribute.i = rng.choice((0, -1, 3, 2**40))
    else:
        model.opset_import[0].version = rng.choice((0, 5, 99, -1))
    return model.SerializeToString()


_PLACES = (
    "folder",
    "link to itself",
    "link to nothing",
    "pipe",
    "empty",
    "file in the way",
    "long name",
    "unreadable",
)


@family
def places(rng: random.Random, sound: Path, here: Path) -> Case:
    """Something else stands where a command expects a file or folder, for reading or for writing."""
    copied(sound, here, "small.png", "checkpoint", "set")
    shutil.copy(sound / "weights" / "net.npz", here / "net.npz")
    net = str(sound / "exported" / "net.onnx")
    where = rng.choice(_PLACES)
    name = "odd"
    suffix = rng.choice((".png", ".npz", ".onnx", ".zip", ".pt", ".safetensors", ".json", ".py", "", ".ckpt"))
    target = here / f"{name}{suffix}"
    commands = [
        ["infer", net, target.name, "--to", "out.png"],
        ["infer", target.name, "small.png", "--to", "out.png"],
        ["convert", "edsr-pytorch", target.name, "--to", "out.npz"],
        ["data", "unpack", target.name, "--to", "out"],
        ["data", "unpack", str(sound / "archives" / "stored.zip"), "--to", target.name],
        ["data", "check", "folder", "lr_type=on_the_fly", "--root", target.name, "--scale", "2"],
        ["data", "bicubic", target.name, "--scale", "2"],
        ["data", "bicubic", "set/HR", "--scale", "2", "--to", target.name],
        [
            "data",
            "cache",
            "folder",
            "--root",
            "set",
            "--scale",
            "2",
            "--dir",
            target.name,
            "lr_type=on_the_fly",
        ],
        ["run", target.name, "--print-config"],
        ["run", target.name, "--resume"],
        ["evaluate", target.name, "--sets", "folder=set"],
        ["evaluate", net, "--sets", f"folder={target.name}"],
        ["convert", "edsr-pytorch", "checkpoint", "--to", f"{target.name}/x.npz"],
        ["infer", net, "small.png", "--to", f"{target.name}/x.png"],
        ["export", "checkpoint", "--to", f"{target.name}/x.onnx"],
        ["launch", "--rank-table", target.name, "run", "x.py"],
        ["count", target.name],
    ]
    words = rng.choice(commands)
    if where == "folder":
        target.mkdir()
    elif where == "link to itself":
        target.symlink_to(target.name)
    elif where == "link to nothing":
        target.symlink_to("gone")
    elif where == "pipe":
        os.mkfifo(target)
    elif where == "empty":
        target.touch()
    elif where == "file in the way":
        (here / "small.png").rename(here / "file")
        shutil.copy(sound / "small.png", here)
        words = [word.replace(target.name, f"file/{target.name}") for word in words]
    elif where == "long name":
        words = [word.replace(target.name, "n" * 300 + suffix) for word in words]
    else:
        target.mkdir()
        target.chmod(0)
    return Case(f"{words[0]} where {where}", words, (target.name, "n" * 60, "file"))


@family
def recorded(rng: random.Random, sound: Path, here: Path) -> Case:
    """A picture that is sound goes through a network whose checkpoint has another damage than a flipped bit."""
    copied(sound, here, "checkpoint", "small.png")
    folder = next((here / "checkpoint" / "checkpoints").glob("step_*"))
    file = folder / rng.choice(("state.json", "model.ckpt"))
    data = file.read_bytes()
    if file.suffix == ".json":
        data = damage.json_value(rng, data)
        if rng.random() < 0.5:  # as a checkpoint of an earlier version, which has no hashes
            text = data.decode().replace('"sha256"', '"gone"').replace('"format"', '"gone2"')
            data = text.encode()
    else:
        data = damage.any_bytes(rng, data)
    file.write_bytes(data)
    commands = (
        ["convert", "edsr-pytorch", "checkpoint", "--to", "out.npz"],
        ["count", "checkpoint"],
        ["infer", "checkpoint", "small.png", "--to", "out.png", "--engine", "mindspore"],
        ["convert", "edsr-pytorch", f"checkpoint/checkpoints/{folder.name}/model.ckpt", "--to", "out.pt"],
    )
    words = list(rng.choice(commands))
    return Case(f"{words[0]} with {file.name}", words, ("checkpoint",))
