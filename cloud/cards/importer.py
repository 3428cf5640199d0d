"""Cards of a CSV file into the table of cards: canonical ids, or numbers as they are printed on cards.

Promises: a raw id is hashed at once and stands in no table, problem or log; one
credential opens one account; a row is applied as a whole or not at all; of a number
that leaves bits out a card is made that counts while no other has the same bits; the
same file again changes nothing, also not a card that was blocked meanwhile.
Further columns that may be there: `format`, as protocols/card/printed.py names them,
`kind` and `until` (YYYY-MM-DD, for a temporary card).
"""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.cards import book
from cloud.cards.book import CardRefused, Wish
from cloud.csv_file import Applied, Problem, Refused, Table, text_of
from cloud.keys import Vault
from cloud.people import service as people
from protocols.card import credential, printed
from protocols.errors import CARD_KIND, FIELD_RANGE, Fault

COLUMNS = ("student_id", "credential")
_EPOCH = date(1970, 1, 1)
_SCHEMES = ("a", "b", "v", "f", "em", "w26", "w34", "w37", "osdp", "qr", "app")
_OF_KIND = {
    "random number": "the number is a random one: this card, or phone, says another one at each tap",
    "lossy form": "readers make such a number of a longer one, which nobody can guess: give all of it",
}


class Spelling(NamedTuple):
    """How a file says cards.

    `format`: of each number, empty for the only one that fits; `number`, `pupil`:
    the columns with the number and with the school's own id of a pupil.
    """

    format: str = ""
    number: str = "credential"
    pupil: str = "student_id"

    @property
    def columns(self) -> tuple[str, str]:
        """What the file must have."""
        return self.pupil, self.number


class Imported(NamedTuple):
    """What a file of cards did; `warnings`: what a person should know of rows that were applied."""

    applied: Applied
    warnings: list[Problem]


def import_cards(
    conn: Connection,
    vault: Vault,
    school_id: int,
    table: Table,
    now: int,
    *,
    spelling: Spelling | None = None,
    moves: bool = True,
) -> Imported:
    """Apply the cards of a file; pupils must be there already.

    `moves`: a card that another pupil has goes to the pupil of its row; else
    that row is a problem.
    """
    said = spelling or Spelling()
    problems, lines = list(table.problems), dict[bytes, int]()
    accounts = {account.external_id: account.account_id for account in people.accounts(conn, school_id)}
    key, today = vault.reference_key(school_id), book.day_of(conn, school_id, now)
    cards, changed = book.read(conn, school_id), 0
    for row in table.rows:
        try:
            wish = _wish(key, accounts, row.fields, said)
            first = lines.get(wish.numbers.card_ref)
            if first is not None:
                raise Refused(f"two cards for one credential, first on line {first}")
            changed += cards.give(wish, today=today, now=now, moves=moves)
        except (Refused, CardRefused) as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        except Fault as fault:
            problems.append(table.problem(row.line, _words(fault)))
            continue
        lines[wish.numbers.card_ref] = row.line
    warnings = [
        table.problem(line, _shared(cards, card_ref, lines))
        for card_ref, line in lines.items()
        if cards.sharing(card_ref)
    ]
    cards.write(conn)
    return Imported(Applied(len(lines), changed, sorted(problems)), sorted(warnings))


def _shared(cards: book.Book, card_ref: bytes, lines: dict[bytes, int]) -> str:
    """What becomes of a card that looks like others to readers that leave a part of its number out."""
    others = cards.sharing(card_ref)
    on = sorted(lines[each] for each in others if each in lines)
    whose = [f"the card on line {line}" for line in on]
    whose += ["a card that is there already"] if len(on) < len(others) else []
    if cards.is_part(card_ref):
        why = "only a part of the number is known, and the same part is in that of {}: no reader takes it"
    else:
        why = "readers that leave a part of the number out cannot tell it from {}: they know neither"
    return "applied, but " + why.format(" and ".join(whose))


def _wish(key: bytes, accounts: dict[str, int], fields: dict[str, str], said: Spelling) -> Wish:
    numbers = book.numbers_of(key, _credential(fields, said), takes_parts=True)
    account_id = accounts.get(text_of(fields, said.pupil))
    if account_id is None:
        raise Refused("unknown pupil")
    return Wish(numbers, account_id, fields.get("kind") or None, _until(fields.get("until", "")))


def _credential(fields: dict[str, str], said: Spelling) -> str:
    """The canonical credential of a row, whatever is printed there."""
    text = text_of(fields, said.number)
    name = said.format or fields.get("format", "")
    if not name and text.partition(":")[0].lower() in _SCHEMES and ":" in text:
        name = "id"
    found = printed.parse(text, name).credential
    if credential.is_proof(found):
        raise Refused("a card that proves itself is issued at the desk, which has it in hand")
    return found


def _until(text: str) -> int | None:
    try:
        return (date.fromisoformat(text) - _EPOCH).days if text else None
    except ValueError as error:
        raise Refused("until is no day such as 2026-12-31") from error


def _words(fault: Fault) -> str:
    """What is wrong with a row; carries no value of it."""
    if fault.code == CARD_KIND and fault.thing == "ambiguous":
        return f"the number can be read in several ways: name one of {', '.join(fault.detail.split())}"
    if fault.code == CARD_KIND:
        return _OF_KIND[fault.thing]
    if fault.code == FIELD_RANGE:
        return f"{fault.thing.removeprefix('card.')}: {fault.detail}"
    if fault.thing == "format":
        return f"no such format: one of {', '.join(printed.FORMATS)}"
    return f"credential is none: {fault.thing}"
