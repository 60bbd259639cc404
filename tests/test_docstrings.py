"""Examples in docstrings run, and everything public has a docstring with its arguments."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest

from kptk.training import backend

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("kptk/**/*.py"), *ROOT.glob("plugins/*/kptk_*/**/*.py")])
LONGEST = 300
"""Lines of a source file: more hold a second concept."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[2:] if parts[0] == "plugins" else parts
    return ".".join(parts).removesuffix(".__init__")


def ids(path: Path) -> str:
    return module_name(path)


@pytest.mark.parametrize("path", [path for path in SOURCES if ">>> " in path.read_text()], ids=ids)
def test_examples_run(path: Path) -> None:
    backend.import_keras()
    module = importlib.import_module(module_name(path))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def public_functions(tree: ast.Module):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_public_functions_describe_every_argument(path: Path) -> None:
    silent = []
    for node in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) or ""
        decorated = any("command" in ast.dump(d) or "group" in ast.dump(d) for d in node.decorator_list)
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        if decorated or (len(text.splitlines()) == 1 and ("checks" in path.name or path.name == "toys.py")):
            continue
        silent += [f"{node.name}({name})" for name in names if f"{name}:" not in text and not name.startswith("_")]
    assert not silent


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name in ("kptk", "cli")], ids=ids)
def test_light_modules_import_nothing_heavy_at_the_top(path: Path) -> None:
    heavy = {"keras", "numpy", "jax", "tensorflow", "torch", "sklearn", "matplotlib", "PIL", "pyarrow", "scipy"}
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"{path}:{node.lineno}: import {n} inside the function" for n in names if n.split(".")[0] in heavy]
    assert not found
