"""Size and shape (STYLE): short modules and functions, a docstring first, no blind excepts, named faults."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.house import House, repository, seeded

MODULE_LINES = 400
FUNCTION_LINES = 60


def long_modules(house: House) -> list[str]:
    """Modules that grew beyond one noun."""
    return [
        module.wrong(MODULE_LINES, f"module of {count} lines, at most {MODULE_LINES}")
        for module in house.modules
        if (count := len(module.text.splitlines())) > MODULE_LINES
    ]


def long_functions(house: House) -> list[str]:
    """Functions that do not fit a screen, docstring included."""
    wrong = []
    for module in house.modules:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > FUNCTION_LINES:
                    wrong.append(
                        module.wrong(node, f"{node.name} has {count} lines, at most {FUNCTION_LINES}")
                    )
    return wrong


def silent_modules(house: House) -> list[str]:
    """Modules with code but without a docstring that says what they promise."""
    return [
        module.wrong(1, "the module's docstring is missing")
        for module in house.modules
        if module.text.strip() and not ast.get_docstring(module.tree)
    ]


def blind_excepts(house: House) -> list[str]:
    """`except:` also takes Ctrl-C and the end of the process."""
    return [
        module.wrong(node, "bare except")
        for module in house.modules
        for node in module.nodes
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def nameless_faults(house: House) -> list[str]:
    """RuntimeError says neither what is broken nor where: a Fault or an own exception does."""
    return [
        module.wrong(node, "RuntimeError instead of a fault with a name")
        for module in house.modules
        if not module.within("tests")
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RuntimeError"
    ]


def vanishing_asserts(house: House) -> list[str]:
    """mpy-cross removes asserts from -O1 up, so nothing may depend on one."""
    return [
        module.wrong(node, "assert is removed on the chip")
        for module in house.modules_in("protocols", "firmware")
        for node in module.nodes
        if isinstance(node, ast.Assert)
    ]


RULES = [long_modules, long_functions, silent_modules, blind_excepts, nameless_faults, vanishing_asserts]


@pytest.mark.parametrize("rule", RULES)
def test_house_keeps_its_shape(rule):
    wrong = rule(repository())
    assert not wrong, "\n".join(wrong)


GOOD = '"""A module that says what it promises."""\n'


@pytest.mark.parametrize(
    ("rule", "path", "bad", "good"),
    [
        (long_modules, "cloud/a.py", GOOD + "a = 1\n" * 400, GOOD + "a = 1\n" * 399),
        (long_functions, "cloud/a.py", "def a():\n" + "    b = 1\n" * 60, "def a():\n" + "    b = 1\n" * 59),
        (
            long_functions,
            "cloud/a.py",
            "class A:\n    async def a(self):\n" + "        b = 1\n" * 60,
            "a = 1\n",
        ),
        (silent_modules, "tests/test_a.py", "# A comment is no docstring.\na = 1\n", GOOD),
        (silent_modules, "cloud/__init__.py", "a = 1\n", ""),
        (
            blind_excepts,
            "cloud/a.py",
            "try:\n    a = 1\nexcept:\n    pass\n",
            "try:\n    a\nexcept OSError:\n    a\n",
        ),
        (nameless_faults, "cloud/a.py", "raise RuntimeError('odd')\n", "raise LookupError('card')\n"),
        (vanishing_asserts, "protocols/a.py", "assert 1\n", "a = 1\n"),
        (vanishing_asserts, "firmware/app/a.py", "def a():\n    assert 1\n", "a = 1\n"),
    ],
)
def test_bad_shape_is_seen(tmp_path, rule, path, bad, good):
    assert len(rule(seeded(tmp_path, path, bad))) == 1
    assert rule(seeded(tmp_path, path, good)) == []
