"""Makes sources smaller for a chip: numbers in the place of their names, only what somebody calls.

Promises: a program that runs the trimmed sources does what it did before, as long as it finds names in one
of the ways that `_Mentions` counts.  A constant is a whole number under a name in capitals that a module
gives once.  A function, a class or a name in capitals goes when nothing outside itself mentions its name,
anywhere: neither as a name, nor as an attribute, nor as a whole string.  So a method is kept for the sake of
any other of the same name; what only the interpreter calls must be given as `kept`.  Private attributes get
short names (shorten.py).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TypeAlias

from reader_host.virtual.shorten import shorten

Trees: TypeAlias = dict[str, ast.Module]
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_CAPITALS = re.compile(r"_*[A-Z][A-Z0-9_]*")
# A named tuple or a layout that nobody uses is made for nothing; other calls may do something.
_MAKERS = frozenset({"namedtuple", "Layout", "const", "frozenset"})


def trim(sources: Mapping[str, str], *, users: Mapping[str, str], kept: Collection[str]) -> dict[str, str]:
    """Module name ("firmware.app.sync") to trimmed source.

    `users`: sources that call these modules and stay as they are.  `kept`: names that the interpreter itself
    calls.  SyntaxError names the module whose source is none.
    """
    trees = {name: ast.parse(text, name) for name, text in sources.items()}
    mentioned = Counter(kept)
    for name, text in users.items():
        mentioned += _mentions(ast.parse(text, name))
    _Constants(trees).put_in()
    while _drop_imports(trees) | _drop_definitions(trees, mentioned):
        pass
    shorten(trees, mentioned)
    return {name: ast.unparse(tree) for name, tree in trees.items()}


# Numbers for names


class _Constants:
    """Every constant of some modules, worked out on demand: one may be made of others."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._given = {name: _given_once(tree) for name, tree in trees.items()}
        self._stored = {name: _stored(tree) for name, tree in trees.items()}
        self._imports = {name: _imported(tree) for name, tree in trees.items()}

    def put_in(self) -> None:
        """Replace each mention of a constant by its number."""
        for name, tree in self._trees.items():
            _PutIn(self, name).visit(tree)

    def number(self, module: str, name: str) -> int | None:
        """The number behind a name as `module` sees it; None when it is no constant."""
        if name in self._given.get(module, ()):
            return self._work_out(module, self._given[module][name])
        origin, original = self._imports.get(module, {}).get(name, ("", ""))
        if not origin or not _CAPITALS.fullmatch(name) or name in self._stored[module]:
            return None
        return self.number(origin, original)

    def number_in(self, module: str, alias: str, name: str) -> int | None:
        """The number behind `alias.name`, where `alias` is a module that `module` has imported."""
        origin, original = self._imports[module].get(alias, ("", ""))
        if not origin or alias in self._stored[module]:
            return None
        return self.number(f"{origin}.{original}", name)

    def _work_out(self, module: str, value: ast.expr) -> int | None:
        if isinstance(value, ast.Constant):
            return value.value if type(value.value) is int else None
        if isinstance(value, ast.Name):
            return self.number(module, value.id)
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            return self.number_in(module, value.value.id, value.attr)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
            return self._work_out(module, value.args[0])
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
            number = self._work_out(module, value.operand)
            return None if number is None else -number
        if isinstance(value, ast.BinOp):
            left, right = self._work_out(module, value.left), self._work_out(module, value.right)
            return None if left is None or right is None else _computed(value.op, left, right)
        return None


def _computed(operator: ast.operator, left: int, right: int) -> int | None:
    """What two whole numbers make; None for an operator whose result may be no whole number."""
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return left * right
    if isinstance(operator, ast.FloorDiv) and right:
        return left // right
    if isinstance(operator, ast.LShift):
        return left << right
    if isinstance(operator, ast.BitOr):
        return left | right
    return None


class _PutIn(ast.NodeTransformer):
    def __init__(self, constants: _Constants, module: str) -> None:
        self._constants = constants
        self._module = module

    def visit_Name(self, node: ast.Name) -> ast.AST:
        number = self._constants.number(self._module, node.id) if isinstance(node.ctx, ast.Load) else None
        return node if number is None else _literal(number)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            number = self._constants.number_in(self._module, node.value.id, node.attr)
            if number is not None:
                return _literal(number)
        return self.generic_visit(node)


def _literal(number: int) -> ast.expr:
    return ast.Constant(number) if number >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-number))


def _given_once(tree: ast.Module) -> dict[str, ast.expr]:
    """Names in capitals that the module gives one value, at its top, for ever."""
    stores = Counter(_stores(tree))
    given = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name) and _CAPITALS.fullmatch(target.id) and stores[target.id] == 1:
                given[target.id] = statement.value
    return given


def _stores(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def _stored(tree: ast.Module) -> set[str]:
    return set(_stores(tree))


def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Bound name to (module, name there), for `from module import name`, wherever it stands."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }


# Only what somebody calls


def _drop_imports(trees: Trees) -> bool:
    """Forget names of these modules that were imported and are used no more; True when there were any."""
    dropped = False
    for name, tree in trees.items():
        used = _mentions(tree, with_imports=False)
        remover = _Remover(partial(_is_spare_import, trees=trees, used=used))
        # What a package brings in is meant for others.
        if not any(other.startswith(name + ".") for other in trees):
            remover.visit(tree)
        dropped |= remover.has_removed
    return dropped


def _is_spare_import(node: ast.stmt, trees: Trees, used: Mapping[str, int]) -> bool:
    """Take unused names out of an import of these modules; True when none is left."""
    if not isinstance(node, ast.ImportFrom):
        return False
    ours = node.module in trees or any(name.startswith(f"{node.module}.") for name in trees)
    if ours and not node.level:
        node.names = [alias for alias in node.names if used[alias.asname or alias.name]]
    return not node.names


def _drop_definitions(trees: Trees, mentioned: Counter[str]) -> bool:
    """Forget functions, classes and names in capitals that nothing mentions; True when there were any."""
    total = Counter(mentioned)
    for tree in trees.values():
        total += _mentions(tree)
    dropped = False
    for tree in trees.values():
        remover = _Remover(lambda node: _is_unused(node, total))
        remover.visit(tree)
        dropped |= remover.has_removed
    return dropped


def _is_unused(node: ast.stmt, total: Mapping[str, int]) -> bool:
    if isinstance(node, _Definition):
        is_of_the_language = node.name.startswith("__") and node.name.endswith("__")
        return not is_of_the_language and not total[node.name]
    if not isinstance(node, ast.Assign):
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return (
        len(names) == len(node.targets) and not any(total[name] for name in names) and _is_quiet(node.value)
    )


def _is_quiet(value: ast.expr) -> bool:
    """Whether working an expression out has no effect but its value."""
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    return all(isinstance(call.func, ast.Name) and call.func.id in _MAKERS for call in calls)


class _Remover(ast.NodeTransformer):
    """Takes statements out; a body that would be empty passes."""

    def __init__(self, is_out: Callable[[ast.stmt], bool]) -> None:
        self._is_out = is_out
        self.has_removed = False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if not isinstance(body, list) or not body:
                continue
            left = [each for each in body if not self._is_out(each)]
            if len(left) < len(body):
                self.has_removed = True
                is_needed = field == "body" and not isinstance(node, ast.Module)
                setattr(node, field, left or ([ast.Pass()] if is_needed else []))
        return node


def _mentions(tree: ast.AST, *, with_imports: bool = True) -> Counter[str]:
    counter = _Mentions(with_imports)
    counter.visit(tree)
    return counter.found


class _Mentions(ast.NodeVisitor):
    """How often each name is mentioned outside of its own definition."""

    def __init__(self, with_imports: bool) -> None:
        self.found: Counter[str] = Counter()
        self._with_imports = with_imports
        self._inside: list[str] = []

    def _add(self, name: str) -> None:
        if name not in self._inside:
            self.found[name] += 1

    def _visit_definition(self, node: _Definition) -> None:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_definition(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Store):
            self._add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._add(node.attr)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node.value)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if self._with_imports:
            for alias in node.names:
                self._add(alias.name)
