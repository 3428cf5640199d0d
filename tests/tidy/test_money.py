"""Money (DESIGN, Money): integers only, and only the accounting store writes the books."""

from __future__ import annotations

import ast
import re

import pytest

from tests.tidy.house import House, Module, repository, seeded

PRODUCT = ("protocols", "firmware", "reader_host", "cloud", "scripts")
BOOKS = ("entry", "posting", "balance")
# The one writer; the schema and its migrations make the tables.
WRITERS = ("cloud/accounting/store.py", "cloud/db.py", "cloud/bulk.py")
_WRITING = re.compile(r"insert|update|delete|merge|upsert|copy", re.IGNORECASE)
_SQL = re.compile(
    rf"\b(insert\s+(or\s+\w+\s+)?into|update|delete\s+from|replace\s+into|copy)\s+\"?({'|'.join(BOOKS)})\b",
    re.IGNORECASE,
)
# `int(x / 2)` is as wrong as `x / 2`; what another function makes of its arguments is its own affair.
_SEE_THROUGH = {"abs", "divmod", "int", "max", "min", "pow", "round", "sum"}


def is_money(name: str) -> bool:
    """Whether a name says that it holds minor units."""
    return name in ("minor", "amount") or name.endswith(("_minor", "_amount"))


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.arg | ast.keyword):
        return node.arg or ""
    return ""


def _parts(node: ast.AST) -> list[ast.AST]:
    """The node and what its value is made of; not what other functions are given."""
    found = [node]
    if isinstance(node, ast.Call) and _name(node.func) not in _SEE_THROUGH:
        return found
    if isinstance(node, ast.JoinedStr):
        return found
    for child in ast.iter_child_nodes(node):
        found += _parts(child)
    return found


def _is_float(node: ast.AST) -> bool:
    is_call = isinstance(node, ast.Call) and _name(node.func) == "float"
    is_division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
    return is_call or is_division or (isinstance(node, ast.Constant) and isinstance(node.value, float))


def _mixes(node: ast.AST) -> bool:
    parts = _parts(node)
    return any(is_money(_name(part)) for part in parts) and any(_is_float(part) for part in parts)


def _converts(node: ast.AST) -> bool:
    """float(amount_minor)"""
    return isinstance(node, ast.Call) and _name(node.func) == "float" and any(map(_mixes_name, node.args))


def _mixes_name(node: ast.AST) -> bool:
    return any(is_money(_name(part)) for part in ast.walk(node))


def _annotated(node: ast.AST) -> bool:
    """amount_minor: float"""
    if isinstance(node, ast.arg) and node.annotation is not None:
        return is_money(node.arg) and "float" in ast.unparse(node.annotation)
    if isinstance(node, ast.AnnAssign):
        return is_money(_name(node.target)) and "float" in ast.unparse(node.annotation)
    return False


def _column(node: ast.AST) -> bool:
    """Column("amount_minor", Float)"""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return False
    kinds = {_name(part) for part in ast.walk(node)}
    return is_money(str(node.args[0].value)) and bool(
        kinds & {"Float", "Numeric", "Double", "REAL", "DECIMAL"}
    )


def floating_money(house: House) -> list[str]:
    """Amounts that meet a float: in sums, comparisons, assignments, arguments, annotations and columns."""
    wrong = []
    for module in house.modules_in(*PRODUCT):
        lines = set()
        for node in module.nodes:
            mixing = isinstance(
                node, ast.BinOp | ast.Compare | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.keyword
            )
            if (mixing and _mixes(node)) or _converts(node) or _annotated(node) or _column(node):
                lines.add(getattr(node, "lineno", 1))
        wrong += [
            module.wrong(line, "money is an integer of minor units, never a float") for line in sorted(lines)
        ]
    return wrong


def _is_book(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and _name(node) in BOOKS


def _writes(node: ast.Call) -> bool:
    """insert(entry), entry.insert(), insert_rows(conn, db.balance, ...)"""
    if not _WRITING.search(_name(node.func)):
        return False
    receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
    return any(_is_book(part) for part in [*receiver, *node.args])


def _docstrings(module: Module) -> set[ast.AST]:
    return {node.value for node in module.nodes if isinstance(node, ast.Expr)}


def foreign_writers(house: House) -> list[str]:
    """Writes to the books that go round `accounting.service.post`."""
    wrong = []
    for module in house.modules_in("cloud", "reader_host", "scripts"):
        # A bench writes to tables of its own, to have something to compare with.
        if module.path in WRITERS or module.within("cloud/migrations", "scripts/bench"):
            continue
        spoken = _docstrings(module)
        for node in module.nodes:
            if isinstance(node, ast.Call) and _writes(node):
                wrong.append(
                    module.wrong(node, f"only the accounting store writes: {ast.unparse(node)[:60]}")
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in spoken:
                if _SQL.search(node.value):
                    wrong.append(
                        module.wrong(node, f"only the accounting store writes: {node.value.strip()[:60]}")
                    )
    return wrong


RULES = [floating_money, foreign_writers]


@pytest.mark.parametrize("rule", RULES)
def test_house_keeps_its_money(rule):
    wrong = rule(repository())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "total_minor = 0.0",
        "total = amount_minor * 1.2",
        "rubles = amount_minor / 100",
        "amount_minor = round(price * 100.0)",
        "sale.amount = 85.0",
        "post(amount_minor=85.0)",
        "a = float(sale.amount_minor)",
        "a = float(str(row['x']) + str(amount))",
        "amount /= 2",
        "if 0.5 < price_minor: pass",
        "def a(amount_minor: float): pass",
        "def a(amount_minor: 'int | float' = 0): pass",
        "amount_minor: float = 0",
        "a = Column('amount_minor', Float)",
        "a = Column('amount_minor', Numeric(10, 2))",
    ],
)
def test_floating_money_is_seen(tmp_path, text):
    assert len(floating_money(seeded(tmp_path, "cloud/accounting/service.py", text + "\n"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a = amount_minor // 100",
        "wait(0.5)\npost(amount_minor=8500)",
        "wait(timeout=0.5, found=find(amount_minor))",
        "a = folder / f'{amount_minor}.txt'",
        "seconds = 2 / 3",
        "def a(amount_minor: int, timeout: float): pass",
        "a = Column('amount_minor', BigInteger)",
    ],
)
def test_whole_money_is_left_alone(tmp_path, text):
    assert floating_money(seeded(tmp_path, "cloud/accounting/service.py", text + "\n")) == []


@pytest.mark.parametrize(
    "text",
    [
        "conn.execute(insert(entry).values(a=1))",
        "conn.execute(db.posting.insert(), rows)",
        "conn.execute(update(db.balance).values(amount_minor=0))",
        "conn.execute(delete(posting))",
        "insert_rows(conn, db.entry, rows)",
        "statement = 'INSERT INTO entry VALUES (?)'",
        "statement = f'UPDATE balance SET amount_minor = {a}'",
        "statement = 'delete  from posting'",
    ],
)
def test_foreign_writer_is_seen(tmp_path, text):
    assert len(foreign_writers(seeded(tmp_path, "cloud/ingest/store.py", text + "\n"))) == 1
    assert foreign_writers(seeded(tmp_path / "own", "cloud/accounting/store.py", text + "\n")) == []


@pytest.mark.parametrize(
    "text",
    [
        "rows = conn.execute(select(entry))",
        "conn.execute(insert(passage))",
        "statement = 'INSERT INTO entry_note VALUES (?)'",
        "seen.update(entry_numbers)",
        "other = entry._replace(kind=1)",
    ],
)
def test_readers_are_left_alone(tmp_path, text):
    assert foreign_writers(seeded(tmp_path, "cloud/ingest/store.py", text + "\n")) == []
