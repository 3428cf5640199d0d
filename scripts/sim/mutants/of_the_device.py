"""Bugs of a till or a gate."""

from __future__ import annotations

from typing import Any

from firmware.app import accounts, sync
from firmware.app.canteen import Canteen
from firmware.app.commands import Commands
from firmware.app.controller import Controller
from firmware.app.state import DeviceState
from firmware.app.turnstile import Turnstile
from firmware.app.voids import Voids
from firmware.hal import panel as show
from protocols.errors import OK, RECORD_CRC, Fault
from protocols.ledger import journal, record
from protocols.ledger.holder import Holder
from protocols.ledger.journal import Journal
from protocols.wire import messages
from scripts.sim.mutants import Overlay, Patches, mutant


@mutant("a till sells without rights", "partition_device", "card_between_tills")
def sells_without_rights(patches: Patches) -> None:
    """may_spend says yes to everything."""
    patches.replace(Holder, "may_spend", lambda self, account, bucket, amount: OK)


@mutant("the journal accepts a torn record at boot", "power_cut", "power_flicker")
def accepts_torn_record(patches: Patches) -> None:
    """Neither crc nor tag are looked at in flash."""

    def follow(chain: Any, mac: bytes, raw: bytes, offset: int = 0) -> bytes:
        return bytes(chain.mac(mac, raw[offset : offset + record.BODY]))

    overlay = Overlay(record, follow=follow, crc_ok=lambda raw, offset=0: True)
    patches.replace(journal, "record", overlay)


@mutant("recovery stops at the first hole", "power_cut", "power_flicker", "stuck_page")
def recovery_stops_at_hole(patches: Patches) -> None:
    """What lies behind a torn slot is not found again."""

    def make(original: Any) -> Any:
        def scan(self: Journal, ordinal: int) -> None:
            met: list[int] = []

            def follow(chain: Any, mac: bytes, raw: bytes, offset: int = 0) -> bytes:
                if met:
                    raise Fault(RECORD_CRC, "behind the hole")
                try:
                    return record.follow(chain, mac, raw, offset)
                except Fault:
                    met.append(1)
                    raise

            with Patches() as inner:
                inner.replace(journal, "record", Overlay(record, follow=follow))
                original(self, ordinal)

        return scan

    patches.wrap(Journal, "_scan", make)


@mutant("green light before flash", "power_cut")
def light_before_flash(patches: Patches) -> None:
    """A till shows served, then writes."""

    def make(original: Any) -> Any:
        def sell(self: Any, waiting: Any) -> None:
            controller = self._controller
            controller.panel.verdict(show.SERVED, OK, controller.journal.next_seq, waiting.tap.time)
            original(self, waiting)

        return sell

    patches.wrap(Canteen, "_sell", make)


@mutant("a gate releases its rotor before flash", "power_cut")
def rotor_before_flash(patches: Patches) -> None:
    """The rotor is free, then the passage is written."""

    def make(original: Any) -> Any:
        def go(self: Any, tap: Any, who: Any) -> None:
            self._portal.release(tap.side)
            original(self, tap, who)

        return go

    patches.wrap(Turnstile, "_open", make)


@mutant("GRANT as an increment", "message_double", "message_replayed", "link_drop")
def grant_as_increment(patches: Patches) -> None:
    """A total that comes again is added again."""

    def make(original: Any) -> Any:
        def grant_due(self: Holder, account: int, bucket: int, total: int) -> Any:
            known = self._store.get(account, bucket).granted
            return original(self, account, bucket, total if not known else known + total)

        return grant_due

    patches.wrap(Holder, "grant_due", make)


@mutant("returns more than it has", "card_between_tills", "message_replayed")
def returns_more_than_it_has(patches: Patches) -> None:
    """A recall is obeyed to the letter, though the rights were spent."""

    def return_due(self: Holder, account: int, bucket: int, target: int) -> Any:
        return target if target > self._store.get(account, bucket).returned else None

    patches.replace(Holder, "return_due", return_due)


@mutant("a table is rolled back", "tables_again", "message_replayed", "message_weeks")
def table_rolled_back(patches: Patches) -> None:
    """An older manifest is fetched and swapped in."""
    patches.replace(accounts, "check_newer", lambda version, applied: None)
    patches.replace(sync, "check_newer", lambda version, applied: None)
    patches.wrap(accounts.Accounts, "open", lambda original: lambda self, version_min: original(self, 0))


@mutant("the hash of a table is not compared", "table_chunk_corrupted")
def table_root_not_checked(patches: Patches) -> None:
    """What was fetched is used."""
    patches.replace(accounts, "equal", lambda left, right: True)


@mutant("a sector is written to without an erase", "power_cut_in_erase", "power_off")
def sector_not_erased(patches: Patches) -> None:
    """A new sector is taken for blank."""

    def make(original: Any) -> Any:
        def start(self: Journal, ordinal: int, erase_count: int) -> None:
            flash = self._flash
            with Patches() as inner:
                inner.replace(type(flash), "erase", lambda self, sector: None)
                original(self, ordinal, erase_count)

        return start

    patches.wrap(Journal, "_start_sector", make)


@mutant("no page is left out after a crash", "power_cut", "power_flicker")
def half_page_used_again(patches: Patches) -> None:
    """Writing goes on in the slot behind the last used one."""
    patches.replace(Journal, "_next_page", lambda self, last_used: last_used + 1)


@mutant("a blanked journal tail goes unnoticed by ACK", "tail_blanked_at_closed_till")
def blanked_tail_unnoticed(patches: Patches) -> None:
    """An acknowledgement beyond the own head is cut to the head."""

    def make(original: Any) -> Any:
        def on_ack(self: Any, body: bytes, *others: Any) -> None:
            ack = messages.unpack_ack(body)
            head = self._controller.journal.next_seq
            original(self, messages.pack_ack(min(ack.next_wanted, head), ack.books), *others)

        return on_ack

    patches.wrap(sync.Sync, "_on_ack", make)


@mutant("a sale is voided twice", "power_off", "link_drop")
def double_void(patches: Patches) -> None:
    """Nobody looks whether the sale was voided before."""
    patches.replace(Voids, "_was_voided", lambda self, seq: False)


@mutant("a till forgets at a boot which sales it voided", "power_off", "power_off_school")
def voids_forgotten_at_boot(patches: Patches) -> None:
    """The answer comes from memory, not from the journal."""

    def make(original: Any) -> Any:
        def take_back(self: Any, seq: int) -> Any:
            refusal, voided = original(self, seq)
            if not refusal:
                vars(self).setdefault("voided", set()).add(seq)
            return refusal, voided

        return take_back

    patches.wrap(Voids, "take_back", make)
    patches.replace(Voids, "_was_voided", lambda self, seq: seq in vars(self).get("voided", ()))


@mutant("what a void lifts above CAP stays on the till", "card_between_tills", "link_drop")
def void_above_cap(patches: Patches) -> None:
    """Nothing is returned ahead of a void."""
    patches.replace(Holder, "excess_due", lambda self, account, bucket, coming: None)


@mutant("one TIME moves the day for ever", "clock_of_cloud", "power_off")
def time_poisoned(patches: Patches) -> None:
    """The day is the highest that was ever written, whatever a person says."""

    def take_day_back(self: Controller, day: int, moment: int, step: int) -> None:
        self.write(record.CLOCK, record.CLOCK_CONFIRMED, amount=step, time=moment)

    patches.replace(Controller, "take_day_back", take_day_back)


@mutant("a command of the boot before is obeyed", "command_held_back")
def held_back_command_obeyed(patches: Patches) -> None:
    """Neither the nonce nor TIME is looked at."""
    patches.replace(Commands, "_check_boot", lambda self, command: None)


@mutant("a command's number is not kept", "command_held_back", "message_replayed")
def command_repeated(patches: Patches) -> None:
    """The journal's highest number counts for nothing."""

    def make(original: Any) -> Any:
        def follow(self: DeviceState, item: Any) -> None:
            original(self, item)
            self.command = 0

        return follow

    patches.wrap(DeviceState, "follow", make)
