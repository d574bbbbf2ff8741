"""A room imports only rooms that stand before it in this list. Imports inside functions and for types count."""

import ast
from pathlib import Path

ROOMS = (
    *("errors", "arrays", "registry", "files", "plugins"),
    *(
        "recipe",
        "metrics",
        "device",
        "data",
        "models",
        "kernels",
        "evaluation",
        "trainer",
        "hooks",
        "weights",
    ),
    *("build", "engines", "export", "infer", "launch", "cli", "jobs", "commands"),
)
PACKAGE = Path(__file__).parents[2] / "srtrain"

LAZY = {"srtrain": {"srtrain.infer.model"}}
"""Names that are looked up upwards when they are first used: by module, what it loads."""


def module_of(file, package):
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file):
    """Yield the srtrain modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "srtrain":
            yield from (f"srtrain.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room_of(module):
    return module.split(".")[1] if module.count(".") else ""


def upward_imports(package):
    """Return each import that points upwards, as "module -> module"."""
    found = []
    for file in sorted(package.rglob("*.py")):
        importer = module_of(file, package)
        for imported in imports_of(file):
            room = room_of(imported)
            if not imported.startswith("srtrain.") or room not in ROOMS or imported in LAZY.get(importer, ()):
                continue
            own = room_of(importer)
            if own not in ROOMS or ROOMS.index(room) > ROOMS.index(own):
                found.append(f"{importer} -> {imported}")
    return found


def test_imports_point_downwards():
    assert upward_imports(PACKAGE) == []
