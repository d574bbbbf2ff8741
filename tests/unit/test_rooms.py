"""The plan of the house. Imports inside functions and imports for type checking count like all others.

docs/architecture.md describes the rooms; this file enforces their order, and the sizes of files and functions.
"""

import ast
import shutil
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = {
    "srtrain": (
        *(
            "errors",
            "arrays",
            "registry",
            "files",
            "plugins",
            "consent",
            "zoo",
            "recipe",
            "metrics",
            "device",
            "data",
            "models",
        ),
        *("kernels", "evaluation", "trainer", "hooks", "weights", "build", "engines", "export", "infer"),
        *("launch", "jobs", "cli", "commands"),
    ),
    "plugins/esr": ("search", "report", "run"),
}
"""A room imports only from itself and from rooms that stand before it."""

LAZY = {
    "srtrain.__main__": {"srtrain.cli.main"},  # Ctrl-C during this import has to end the program, too
    "srtrain": {"srtrain.infer.model"},  # srtrain.load: ``import srtrain`` alone stays cheap
    # The names of engines and the files that they read are needed before it is known which engine runs.
    "srtrain.engines.mindir": {"srtrain.device.backend"},
    "srtrain.engines.mindspore": {"srtrain.device.backend", "srtrain.models.upscale", "srtrain.weights.read"},
    # Mistakes in the command line of an export are found before MindSpore is loaded.
    "srtrain.export.format": {"srtrain.export.fold"},
    "srtrain.export.formats.air": {"srtrain.export.mindspore_graph"},
    "srtrain.export.formats.mindir": {"srtrain.export.mindspore_graph"},
    "srtrain.export.formats.native": {
        "srtrain.kernels.forms",
        "srtrain.kernels.program",
        "srtrain.models.collapsed",
    },
    "srtrain.export.formats.onnx": {"srtrain.export.onnx_graph"},
    "srtrain.export.formats.param": {"srtrain.export.ncnn_graph", "srtrain.export.onnx_graph"},
    # A picture is upscaled without what only sheets and videos need.
    "srtrain.jobs.infer": {"srtrain.infer.compare", "srtrain.infer.video"},
    # An export that is in the cache is run without MindSpore.
    "srtrain.infer.cached": {"srtrain.export.write", "srtrain.trainer.checkpoint", "srtrain.weights.read"},
}
"""The only imports of our own modules inside functions: by importing module, what it loads when it is needed."""

LOOSE = {"__init__", "__main__", "errors", "registry", "plugins", "consent", "arrays", "files"}
MAX_MODULES, MAX_ARGUMENTS, MAX_FUNCTION_LINES, MAX_CLASS_LINES = 15, 8, 50, 250
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Package:
    """The parsed modules of a folder.

    Attributes:
        modules: by dotted name, the name of the folder first.
    """

    def __init__(self, folder):
        self.files = {self.name_of(file.relative_to(folder.parent)): file for file in folder.rglob("*.py")}
        self.modules = {name: ast.parse(file.read_text("utf-8")) for name, file in self.files.items()}

    @staticmethod
    def name_of(file):
        parts = file.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self, name, tree=None):
        """Yield the modules of this package that a module, or a part of it, imports."""
        for node in ast.walk(tree or self.modules[name]):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                n_own = name.count(".") + (self.files[name].name == "__init__.py") - node.level + 1
                own = name.split(".")[:n_own] if node.level else []
                source = ".".join([*own, *([node.module] if node.module else [])])
                parts = [f"{source}.{alias.name}" for alias in node.names]
                found = [part if part in self.modules else source for part in parts]
            else:
                continue
            yield from (module for module in found if module in self.modules and module != name)

    def upward_imports(self, rooms):
        """Return each import that does not point downwards, as "module -> module"."""
        found = []
        for name in self.modules:
            for imported in self.imports(name):
                own, other = (module.split(".")[1] if "." in module else "" for module in (name, imported))
                if not other or not own or imported in LAZY.get(name, ()):
                    continue
                if own not in rooms or other not in rooms or rooms.index(other) > rooms.index(own):
                    found.append(f"{name} -> {imported}")
        return found

    def functions(self):
        """Yield each function with the name of its module."""
        for name, tree in self.modules.items():
            yield from ((name, node) for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


@cache
def package_at(folder):
    return Package(ROOT / folder)


@pytest.fixture(params=["srtrain", "plugins"])
def package(request):
    return package_at(request.param)


@pytest.mark.parametrize("folder", ROOMS)
def test_imports_point_downwards(folder):
    assert package_at(folder).upward_imports(ROOMS[folder]) == []


def test_an_import_that_points_upwards_is_found(tmp_path):
    shutil.copytree(ROOT / "srtrain", tmp_path / "srtrain", ignore=shutil.ignore_patterns("__pycache__"))
    wrong = {
        "psnr": "import srtrain.hooks.ema",
        "ssim": "from srtrain.hooks import ema",
        "colour": "from ..hooks.ema import EmaHook",
        "protocol": "def f():\n    from srtrain.hooks.ema import EmaHook",
        "published": "if TYPE_CHECKING:\n    from srtrain.hooks.ema import EmaHook",
    }
    for module, line in wrong.items():
        with (tmp_path / "srtrain" / "metrics" / f"{module}.py").open("a", encoding="utf-8") as file:
            file.write(f"\n\n{line}\n")
    found = Package(tmp_path / "srtrain").upward_imports(ROOMS["srtrain"])
    assert sorted(found) == sorted(f"srtrain.metrics.{module} -> srtrain.hooks.ema" for module in wrong)


def test_imports_stand_at_the_top(package):
    found = {
        f"{name} -> {imported}"
        for name, function in package.functions()
        for imported in package.imports(name, function)
    }
    lazy = {name: imported for name, imported in LAZY.items() if name in package.modules}
    assert found == {f"{name} -> {module}" for name, imported in lazy.items() for module in imported}


def test_no_imports_form_a_circle(package):
    graph = {name: set(package.imports(name)) - LAZY.get(name, set()) for name in package.modules}
    TopologicalSorter(graph).prepare()


def test_only_a_few_modules_lie_outside_of_the_rooms():
    assert {file.stem for file in (ROOT / "srtrain").glob("*.py")} <= LOOSE


def test_folders_functions_and_classes_are_small(package):
    modules = Counter(str(file.parent.relative_to(ROOT)) for file in package.files.values())
    large = {folder for folder, n in modules.items() if n - 1 > MAX_MODULES}
    limits = {ast.ClassDef: MAX_CLASS_LINES} | dict.fromkeys(FUNCTIONS, MAX_FUNCTION_LINES)
    for name, tree in package.modules.items():
        for node in ast.walk(tree):
            limit = limits.get(type(node))
            if limit and node.end_lineno - node.lineno >= limit:
                large.add(f"{name}.{node.name}")
    assert large == set()


def test_constructors_take_few_arguments(package):
    for name, function in package.functions():
        n_arguments = len(function.args.args) - 1 + len(function.args.kwonlyargs)
        assert function.name != "__init__" or n_arguments <= MAX_ARGUMENTS, name
