"""Reading the repository for the house rules: files, parsed modules, and the lines that break a rule.

A rule is a function from a House to lines `path:line: what is wrong`; no line means that the rule holds.
Each rule file proves that its rules catch: `seeded` makes a small house with one bad file in it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("protocols", "firmware", "reader_host", "cloud", "scripts", "tests")
TEXT_FOLDERS = (*CODE_FOLDERS, "docs", "hardware", ".ci")
TEXT_ENDINGS = (
    ".py",
    ".md",
    ".txt",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".po",
    ".json",
    ".conf",
    ".ini",
    ".mako",
    "",
)
_MADE = {".git", "__pycache__", ".venv", "typings", "build", "node_modules"}


class Module:
    """One Python file: `path` relative to the house with `/`, its dotted `name`, `text` and `tree`."""

    def __init__(self, root: Path, file: Path) -> None:
        self.path = file.relative_to(root).as_posix()
        self.folder = self.path.rpartition("/")[0]
        self.file_name = file.name
        self.name = self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.text = file.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree."""
        return list(ast.walk(self.tree))

    def within(self, *folders: str) -> bool:
        """Whether the file lies in one of the folders, at any depth."""
        return any(self.path.startswith(folder + "/") for folder in folders)

    def wrong(self, node: ast.AST | int, what: str) -> str:
        """A line of a rule's result."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {what}"


class House:
    """The repository, or a small copy of its layout that a self-test made."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    @cached_property
    def modules(self) -> list[Module]:
        """All Python modules in the folders of the layout."""
        return [
            Module(self.root, file)
            for folder in CODE_FOLDERS
            for file in sorted((self.root / folder).rglob("*.py"))
            if not _MADE.intersection(file.parts)
        ]

    def modules_in(self, *folders: str) -> list[Module]:
        """The modules that lie in one of the folders."""
        return [module for module in self.modules if module.within(*folders)]

    def texts(self) -> Iterator[tuple[str, str]]:
        """(path, text) of every file that a person writes."""
        files = [file for file in self.root.iterdir() if file.is_file()]
        for folder in TEXT_FOLDERS:
            files += [file for file in (self.root / folder).rglob("*") if file.is_file()]
        for file in sorted(files):
            if file.suffix in TEXT_ENDINGS and not _MADE.intersection(file.relative_to(self.root).parts):
                yield (
                    file.relative_to(self.root).as_posix(),
                    file.read_text(encoding="utf-8", errors="replace"),
                )

    def document(self, path: str) -> str:
        """The text of a page of the documentation; empty when there is none."""
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.exists() else ""


@cache
def repository() -> House:
    """The repository itself, read and parsed once for all rules."""
    return House()


def seeded(folder: Path, path: str, text: str) -> House:
    """A house of one file, for a self-test; call it again with the same folder for more files."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return House(folder)


def imports(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """(statement, dotted name) of everything imported, as deep as the statement says.

    `from cloud.people import service` gives `cloud.people.service`.
    """
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                yield node, f"{base}.{alias.name}"


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.folder.replace("/", ".").split(".")
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def guarded(module: Module, kind: str) -> set[ast.AST]:
    """Nodes inside `if TYPE_CHECKING:` (kind "types") or `try: ... except ImportError` (kind "try")."""
    inside: set[ast.AST] = set()
    for node in module.nodes:
        is_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        is_try = isinstance(node, ast.Try) and any(
            handler.type is not None and "ImportError" in ast.unparse(handler.type)
            for handler in node.handlers
        )
        if (kind == "types" and is_types) or (kind == "try" and is_try):
            for statement in node.body:  # type: ignore[attr-defined]
                inside.update(ast.walk(statement))
    return inside


def matches(name: str, *prefixes: str) -> bool:
    """Whether a dotted name is one of the prefixes or lies under it."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
