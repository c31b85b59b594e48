"""The import graph: data flows one way, importing costs nothing, and the runtime never loads torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wordprint

SOURCE = Path(wordprint.__file__).parent
FLOORS = [
    {"errors", "records"},
    {"stages"},
    {"speech"},
    {"pages"},
    {"download", "corpora"},
    {"validate"},
    {"align"},
    {"words"},
    {"train"},
    {"residual"},
    {"embedding", "cohort"},
    {"model"},
    {"load"},
    {"spot"},
    {"evaluate"},
    {"export", "serve", "studio", "compat"},
    {"config"},
    {"desk"},
    {"pipeline"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
"""Rooms from the ground up: a module imports from its own room and from lower floors."""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
RUNTIME = {"errors", "records", "stages", "speech", "embedding", "residual", "cohort", "model", "spot"}
"""What `spot` may import: no room that needs torch or pyarrow."""


def _imports(path: Path) -> set[str]:
    """wordprint modules that a file imports, also inside functions; not those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wordprint"):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("wordprint")}
    return {name.removeprefix("wordprint.") for name in found}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_run_down(path):
    module = str(path.relative_to(SOURCE).with_suffix("")).replace("/", ".")
    own = module.split(".")[0]
    for imported in _imports(path):
        other = imported.split(".")[0]
        if other == own or other not in FLOOR or own == "__init__":
            continue
        assert FLOOR[other] < FLOOR[own], f"{module} imports {imported}"
        if own == "spot":
            assert other in RUNTIME, f"the runtime imports {imported}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_function_is_longer_than_a_screen(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert not {name: length for name, length in lengths.items() if length > 60}


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import wordprint", {"torch", "onnxruntime", "numpy", "pyarrow", "matplotlib", "tyro"}),
        ("from wordprint.cli import main; main(['--help'])", {"torch", "onnxruntime", "numpy", "tyro"}),
        ("from wordprint import Spotter, Model", {"torch", "pyarrow", "matplotlib", "lightning_fabric"}),
        ("from wordprint import pipeline; pipeline.prepare", {"torch", "onnxruntime"}),
    ],
)
def test_importing_costs_nothing(statement, forbidden):
    script = f"import sys; {statement}; print('LOADED', *sorted(set(sys.modules) & {forbidden!r}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "LOADED"


@pytest.mark.parametrize("module", ["wordprint", "wordprint.pipeline"])
def test_every_exported_name_loads(module):
    package = __import__(module, fromlist=["__all__"])
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(dir(package)) >= set(package.__all__)
    with pytest.raises(AttributeError):
        package.no_such_name  # noqa: B018
