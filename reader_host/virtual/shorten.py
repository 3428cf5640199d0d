"""Gives the private attributes of a chip's program short names, the same few in every module.

Promises: an attribute goes by another name only where nobody outside its module, or the modules whose
classes inherit from each other, can know it: it is set through `self` there, nothing else bears its name
anywhere, and no string spells it.  Functions, classes and what is public keep their names, so a traceback
reads as before.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

Trees = dict[str, ast.Module]


def shorten(trees: Trees, foreign: Collection[str]) -> None:
    """Rename in place; `foreign`: names that programs beside these modules mention."""
    groups = _groups(trees)
    taken = set(foreign).union(*(_other_names(tree) for tree in trees.values()))
    own: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in trees.items():
        own[groups[module]] |= set(_set_through_self(tree))
    homes = Counter(name for names in own.values() for name in names)
    for module, tree in trees.items():
        for node, is_through_self in _attributes(tree):
            # Another object's: whose, nobody can say, unless there is one home for the name.
            if node.attr not in own[groups[module]] or (not is_through_self and homes[node.attr] > 1):
                taken.add(node.attr)
    for group, names in own.items():
        short = {name: f"_{place}" for place, name in enumerate(sorted(names - taken))}
        for module, tree in trees.items():
            if groups[module] == group:
                _rename(tree, short)


def _rename(tree: ast.Module, short: Mapping[str, str]) -> None:
    for node, _is_through_self in _attributes(tree):
        node.attr = short.get(node.attr, node.attr)


def _attributes(tree: ast.AST) -> Iterator[tuple[ast.Attribute, bool]]:
    """Every private attribute, and whether it is one of `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            yield node, isinstance(node.value, ast.Name) and node.value.id == "self"


def _set_through_self(tree: ast.AST) -> Iterator[str]:
    for node, is_through_self in _attributes(tree):
        if is_through_self and isinstance(node.ctx, ast.Store):
            yield node.attr


def _other_names(tree: ast.AST) -> Iterator[str]:
    """Names of everything that is no attribute, and whole strings."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.arg, ast.keyword)):
            yield node.arg or ""
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _groups(trees: Trees) -> dict[str, str]:
    """Module to the name of its group: those whose classes inherit from each other are one."""
    groups = {name: name for name in trees}
    for module, tree in trees.items():
        bases = {name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for name in _bases(node)}
        for origin in _origins(tree, bases):
            if origin in groups:
                kept, gone = groups[module], groups[origin]
                groups = {each: kept if group == gone else group for each, group in groups.items()}
    return groups


def _bases(node: ast.ClassDef) -> Iterator[str]:
    """The names by which a class calls what it inherits from, or the module of that."""
    for base in node.bases:
        while isinstance(base, ast.Attribute):
            base = base.value
        if isinstance(base, ast.Name):
            yield base.id


def _origins(tree: ast.Module, bases: Collection[str]) -> Iterator[str]:
    """The modules that these names may come from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) in bases:
                    yield node.module
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            yield from (
                alias.name for alias in node.names if (alias.asname or alias.name.split(".")[0]) in bases
            )
