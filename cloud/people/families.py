"""Adults of parents.csv, and whose adults they are, into the tables of people.

Promises: one phone is one adult, because it is how a parent logs in; two
children with the same phone and the same name share their adult; a row is
applied as a whole or not at all; the same file again changes nothing.
A phone that comes with another name is refused: a number that changed hands
would open the page of a stranger's child.  Only the line of a child whom this
adult already has corrects a name, and only an adult of that child moves to a
new phone.  Leaves the end of an adult's rights to people: a line that is
missing from a file takes nobody's child away.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.people import service, store
from cloud.people.phones import NoPhone, normal_phone

COLUMNS = ("student_id", "relation", "name", "phone")


class Names(NamedTuple):
    """A full name as rosters write it: last, first, the rest."""

    last_name: str
    first_name: str
    middle_name: str


class Parent(NamedTuple):
    """One row of parents.csv with good values; whether it fits the others is not yet known."""

    line: int
    external_id: str
    relation: str
    names: Names
    phone: str


class Adult:
    """An adult as the tables have them, or will have."""

    def __init__(self, adult_id: int, person_id: int, names: Names, phone: str) -> None:
        self.adult_id = adult_id
        self.person_id = person_id
        self.names = names
        self.phone = phone
        self.line = 0
        """The first line of this file about them, 0: none yet."""


def import_parents(
    conn: Connection, school_id: int, table: Table, random_bytes: service.RandomBytes
) -> Applied:
    """Apply parents.csv; pupils must be there already."""
    problems = list(table.problems)
    parents: list[Parent] = []
    for row in table.rows:
        try:
            parents.append(_parent(row.line, row.fields))
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
    families = _Families(conn, school_id, random_bytes)
    changed = families.move_phones(parents)
    applied: set[int] = set()
    for parent in parents:
        try:
            if families.apply(parent):
                changed.add(parent.line)
        except Refused as refused:
            problems.append(table.problem(parent.line, str(refused)))
            continue
        applied.add(parent.line)
    families.write()
    return Applied(len(applied), len(changed & applied), sorted(problems))


def _parent(line: int, fields: dict[str, str]) -> Parent:
    words = text_of(fields, "name").split()
    if not any(character.isalpha() for character in fields["name"]):
        raise Refused("name has no letter")
    names = Names(words[0], " ".join(words[1:2]), " ".join(words[2:]))
    if len(words) == 1:
        names = Names("", words[0], "")
    try:
        phone = normal_phone(fields["phone"])
    except NoPhone as error:
        raise Refused(f"phone is no phone: {error}") from error
    return Parent(line, text_of(fields, "student_id"), text_of(fields, "relation", empty=True), names, phone)


class _Families:
    """The adults of a school in memory, and what the file changes about them."""

    def __init__(self, conn: Connection, school_id: int, random_bytes: service.RandomBytes) -> None:
        self._conn = conn
        self._random_bytes = random_bytes
        self._school_id = school_id
        self._accounts = {row.external_id: row.account_id for row in store.accounts(conn, school_id)}
        self._adults = {
            row.adult_id: Adult(
                row.adult_id, row.person_id, Names(row.last_name, row.first_name, row.middle_name), row.phone
            )
            for row in store.adults(conn, school_id)
        }
        self._by_phone = {adult.phone: adult for adult in self._adults.values()}
        self._relations = {
            (row.account_id, row.adult_id): row.relation for row in store.guardians(conn, school_id)
        }
        self._of_account: dict[int, list[Adult]] = {}
        for account_id, adult_id in self._relations:
            self._of_account.setdefault(account_id, []).append(self._adults[adult_id])
        self._lines: dict[tuple[int, int], int] = {}
        self._persons: list[dict[str, Any]] = []
        self._new_adults: list[dict[str, Any]] = []
        self._guardians: list[dict[str, Any]] = []
        self._changed_relations: list[dict[str, Any]] = []

    def move_phones(self, parents: list[Parent]) -> set[int]:
        """Give new phones to adults who are known by child and name; returns the lines that did.

        First of all lines, so that a phone that is free from now on can be
        somebody else's on another line.
        """
        said = {(parent.phone, parent.names) for parent in parents}
        moved: set[int] = set()
        for parent in parents:
            if parent.phone in self._by_phone:
                continue
            for adult in self._of_account.get(self._accounts.get(parent.external_id, 0), []):
                if adult.names == parent.names and (adult.phone, adult.names) not in said:
                    del self._by_phone[adult.phone]
                    adult.phone = parent.phone
                    self._by_phone[adult.phone] = adult
                    store.change_adult(self._conn, self._school_id, adult.adult_id, {"phone": adult.phone})
                    moved.add(parent.line)
                    break
        return moved

    def apply(self, parent: Parent) -> bool:
        """Whether the row changed anything; Refused when it does not fit."""
        account_id = self._accounts.get(parent.external_id)
        if account_id is None:
            raise Refused("unknown pupil")
        adult = self._by_phone.get(parent.phone)
        changed = False
        if adult is None:
            adult = self._add(parent)
            changed = True
        elif adult.names != parent.names:
            self._rename(adult, parent, account_id)
            changed = True
        earlier = self._lines.setdefault((account_id, adult.adult_id), parent.line)
        if earlier != parent.line:
            raise Refused(f"this adult of this pupil is given twice, first on line {earlier}")
        adult.line = adult.line or parent.line
        return self._link(account_id, adult, parent) or changed

    def _add(self, parent: Parent) -> Adult:
        adult = Adult(
            service.person_number(self._random_bytes),
            service.person_number(self._random_bytes),
            parent.names,
            parent.phone,
        )
        self._adults[adult.adult_id] = self._by_phone[adult.phone] = adult
        key = {"school_id": self._school_id, "person_id": adult.person_id}
        self._persons.append(key | parent.names._asdict())
        self._new_adults.append(key | {"adult_id": adult.adult_id, "phone": adult.phone})
        return adult

    def _rename(self, adult: Adult, parent: Parent, account_id: int) -> None:
        if adult.line:
            raise Refused(f"phone is already another adult's, on line {adult.line}")
        if (account_id, adult.adult_id) not in self._relations:
            raise Refused("phone is already another adult's")
        adult.names = parent.names
        store.change_person(self._conn, self._school_id, adult.person_id, parent.names._asdict())

    def _link(self, account_id: int, adult: Adult, parent: Parent) -> bool:
        key = (account_id, adult.adult_id)
        before = self._relations.get(key)
        if before == parent.relation:
            return False
        self._relations[key] = parent.relation
        if before is None:
            self._guardians.append(
                {"school_id": self._school_id, "account_id": account_id, "adult_id": adult.adult_id,
                 "relation": parent.relation}
            )  # fmt: skip
        else:
            self._changed_relations.append(
                {"account": account_id, "adult": adult.adult_id, "relation": parent.relation}
            )
        return True

    def write(self) -> None:
        """Insert what is new, in the order that keys need."""
        store.add_persons(self._conn, self._persons)
        store.add_adults(self._conn, self._new_adults)
        store.add_guardians(self._conn, self._guardians)
        store.change_relations(self._conn, self._school_id, self._changed_relations)
