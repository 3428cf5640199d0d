"""Words (STYLE, Names): one word per idea, no abbreviations, nothing of one person's computer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.tidy.house import House, repository, seeded

# Banned word: the word of the glossary (README) that is meant.
SYNONYMS = {
    "wallet": "purse", "wallets": "purses", "kopek": "kopeck", "cafeteria": "canteen", "lunchroom": "canteen",
    "blacklist": "hotlist", "whitelist": "hotlist", "stoplist": "hotlist", "swipe": "tap", "swipes": "taps",
    "turnstyle": "turnstile", "kid": "pupil", "kids": "pupils", "txn": "entry", "trx": "entry",
    "evt": "event", "acct": "account",
}  # fmt: skip
# Only as a part of a name that our code gives; in prose and in others' names they may stand.
SHORT = {
    "msg": "message", "msgs": "messages", "usr": "user", "amt": "amount", "qty": "count", "cfg": "settings",
    "dev": "device", "err": "error", "exc": "error", "req": "request", "resp": "answer", "cnt": "count",
    "cents": "minor", "num": "number or count", "idx": "index", "pwd": "password", "util": "the idea's name",
    "utils": "the idea's name", "helper": "the idea's name", "helpers": "the idea's name", "misc": "a name",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Spelled in pieces, so that this file keeps the rule that it holds.
HOSTS = [
    "pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js", "npmjs" + ".com",
    "deb.debian" + ".org", "security.debian" + ".org", "proxy.golang" + ".org", "crates" + ".io",
]  # fmt: skip
PLACES = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+)/")


def names_given(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that the module names itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def odd_names(house: House) -> list[str]:
    """Names in our code with a part that the glossary does not know."""
    banned = SYNONYMS | SHORT
    wrong = []
    for module in house.modules:
        given = [(1, module.file_name.removesuffix(".py")), *names_given(module.tree)]
        for line, name in sorted(set(given)):
            for part in _PART.findall(name):
                if part.lower() in banned:
                    wrong.append(module.wrong(line, f"'{name}': the word is {banned[part.lower()]}"))
    return wrong


def odd_words(house: House) -> list[str]:
    """Words in any text of ours that have another name in the glossary."""
    wrong = []
    for path, text in house.texts():
        if path == "tests/tidy/test_words.py" or path == "LICENSE":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for word in _WORD.findall(line):
                if word.lower() in SYNONYMS:
                    wrong.append(f"{path}:{number}: '{word}': the word is {SYNONYMS[word.lower()]}")
    return wrong


def foreign_places(house: House) -> list[str]:
    """Hosts of package registries, and paths of somebody's own computer."""
    wrong = []
    for path, text in house.texts():
        for number, line in enumerate(text.splitlines(), 1):
            found = [host for host in HOSTS if host in line]
            found += [match.group(0) for match in PLACES.finditer(line)]
            wrong += [f"{path}:{number}: {place} does not belong into the repository" for place in found]
    return wrong


RULES = [odd_names, odd_words, foreign_places]


@pytest.mark.parametrize("rule", RULES)
def test_house_keeps_its_words(rule):
    wrong = rule(repository())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "wallet = 1",
        "def read_wallet(): pass",
        "class WalletStore: pass",
        "def read(txn): pass",
        "self.last_evt = 1",
        "try:\n    pass\nexcept OSError as err:\n    pass",
        "import cloud.keys as cfg",
        "for msg in messages: pass",
        "DEVICE_CNT = 1",
    ],
)
def test_odd_name_is_seen(tmp_path, text):
    assert len(odd_names(seeded(tmp_path, "cloud/people/service.py", text + "\n"))) == 1


def test_odd_file_name_is_seen(tmp_path):
    assert len(odd_names(seeded(tmp_path, "cloud/people/helpers.py", "a = 1\n"))) == 1


@pytest.mark.parametrize(
    "text",
    ["device = packet.msg", "find(msg=1)", "development = 1", "kidney = 1", "errors = 1", "number = 1"],
)
def test_good_name_is_left_alone(tmp_path, text):
    assert odd_names(seeded(tmp_path, "cloud/people/service.py", text + "\n")) == []


@pytest.mark.parametrize(
    "path", ["README.md", "docs/ledger.md", "cloud/a.py", "cloud/parents/templates/day.html"]
)
def test_odd_word_is_seen(tmp_path, path):
    assert len(odd_words(seeded(tmp_path, path, "# The parent's Wallet.\n"))) == 1
    assert odd_words(seeded(tmp_path, path, "# The parent's purse.\n")) == []


@pytest.mark.parametrize(
    "text", [f"see https://{HOSTS[0]}/project", f"index = {HOSTS[1]}.org", "cd /" + "work/main"]
)
@pytest.mark.parametrize("path", ["requirements.txt", "scripts/setup", "docs/a.md", "pyproject.toml"])
def test_foreign_place_is_seen(tmp_path, text, path):
    assert len(foreign_places(seeded(tmp_path, path, text + "\n"))) == 1


def test_own_places_are_left_alone(tmp_path):
    text = "cd ../shared/data\nURL = 'https://example.org/work/1'\npath = 'cloud/root/x'\n"
    assert foreign_places(seeded(tmp_path, "docs/a.md", text)) == []
