"""The store: every table of the cloud.

Promises: the same tables on SQLite and PostgreSQL, keys that start with the
school, integers only (UTC seconds, minor units), books and records that
cannot be changed or deleted.  Leaves how a connection is opened to
cloud/store.py, SQL about one feature to that feature's store.py, and changes of
the schema to migrations.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from cloud.bulk import insert_rows as insert_rows
from cloud.columns import json as _json
from cloud.columns import key as _key
from cloud.columns import maybe as _maybe
from cloud.columns import metadata as metadata
from cloud.columns import number as _number
from cloud.columns import one_of as _one_of
from cloud.columns import raw as _bytes
from cloud.columns import refers as _refers
from cloud.columns import row_number as _row_number
from cloud.columns import text as _text
from cloud.meals import db as catalogue  # noqa: F401 - its tables belong to the same schema
from cloud.store import STORE_DOWN as STORE_DOWN
from cloud.store import begin as begin
from cloud.store import engine as engine
from cloud.store import lock_school as lock_school
from cloud.store import reading as reading
from cloud.store import snapshot as snapshot
from cloud.store import turn as turn
from cloud.triggers import keep_append_only

school = Table(
    "school", metadata,
    _key("school_id"), _text("name"), _text("time_zone"), _text("currency", "RUB"), _text("country", "RU"),
    Column("settings", Text, nullable=False, server_default="{}"), _number("settings_version", 0),
    _number("table_version", 0), _number("incarnation", 1), _number("incarnation_id", 0),
    _text("mode", "normal"), _text("recovery_reason", ""), _number("batch_count", 0),
    CheckConstraint("school_id BETWEEN 1 AND 4294967295", name="school_id_range"),
    _one_of("mode", "normal", "recovery"),
)  # fmt: skip

# People: the only tables with names and phones, reached through people.service.
school_class = Table(
    "school_class", metadata,
    _key("school_id"), _key("class_id"), _text("name"), _maybe("home_device"),
    UniqueConstraint("school_id", "name"), _refers("school", "school_id"),
)  # fmt: skip
person = Table(
    "person", metadata,
    _key("school_id"), _key("person_id"), _text("last_name"), _text("first_name"), _text("middle_name", ""),
    _refers("school", "school_id"),
)  # fmt: skip
pupil = Table(
    "pupil", metadata,
    _key("school_id"), _key("account_id"), _number("person_id"), _text("external_id"), _number("class_id"),
    _number("shift", 1), _text("status", "active"),
    UniqueConstraint("school_id", "external_id"), UniqueConstraint("school_id", "person_id"),
    _refers("person", "school_id", "person_id"), _refers("school_class", "school_id", "class_id"),
    _one_of("status", "active", "left"),
    CheckConstraint("account_id BETWEEN 1 AND 4294967295", name="account_id_range"),
)  # fmt: skip
adult = Table(
    "adult", metadata,
    _key("school_id"), _key("adult_id"), _number("person_id"), _text("phone"), _text("language", "ru"),
    UniqueConstraint("school_id", "phone"), _refers("person", "school_id", "person_id"),
    Index("adult_by_phone", "phone"),
)  # fmt: skip
guardian = Table(
    "guardian", metadata,
    _key("school_id"), _key("account_id"), _key("adult_id"), _text("relation", ""),
    _refers("pupil", "school_id", "account_id"), _refers("adult", "school_id", "adult_id"),
    Index("guardian_by_adult", "school_id", "adult_id"),
)  # fmt: skip
personal_read = Table(
    "personal_read", metadata,
    _row_number(), _number("school_id"), _number("at"), _text("who"), _text("what"), _text("reason", ""),
    _refers("school", "school_id"), Index("personal_read_by_time", "school_id", "at"),
)  # fmt: skip
card = Table(
    "card", metadata,
    _key("school_id"), Column("card_ref", LargeBinary, primary_key=True), _number("account_id"),
    _text("kind", "card"), _text("status", "active"), _number("issued_at"), _number("protected", 0),
    _number("weak", 1), _number("key_version", 0), _maybe("until_day"),
    _refers("pupil", "school_id", "account_id"), _one_of("status", "active", "blocked"),
    CheckConstraint("length(card_ref) = 16", name="card_ref_length"),
    Index("card_by_account", "school_id", "account_id"),
)  # fmt: skip
# Other numbers under which readers may say a card: what is left of a longer one, and, as `is_copy`, the bare
# serial number of a card that must prove itself.
card_alias = Table(
    "card_alias", metadata,
    _key("school_id"), Column("alias_ref", LargeBinary, primary_key=True),
    Column("card_ref", LargeBinary, primary_key=True), _number("is_copy", 0), _number("is_lossy", 0),
    _refers("card", "school_id", "card_ref"), Index("card_alias_of_card", "school_id", "card_ref"),
)  # fmt: skip
# The PCs at which cards are issued, and what they did: each operation once, under the desk's own number.
desk = Table(
    "desk", metadata,
    _key("school_id"), _key("desk_id"), _text("label"), _bytes("token_mac"), _number("made_at"),
    _maybe("seen_at"), _maybe("revoked_at"), UniqueConstraint("token_mac"), _refers("school", "school_id"),
)  # fmt: skip
desk_operation = Table(
    "desk_operation", metadata,
    _key("school_id"), _key("desk_id"), Column("op_id", Text, primary_key=True), _text("operation"),
    _bytes("content_mac"), _number("refusal"), _number("happened_at"), _number("learnt_at"),
    _refers("desk", "school_id", "desk_id"),
)  # fmt: skip

# Devices and what they said.
device = Table(
    "device", metadata,
    _key("school_id"), _key("device_id"), _text("label"), _text("kind"), _number("epoch", 1),
    _number("table_version", 0), _number("settings_version", 0), _maybe("last_seen_at"), _number("online", 0),
    _json("state"), _json("reader"), UniqueConstraint("school_id", "label"), _refers("school", "school_id"),
    _one_of("kind", "gate", "canteen"),
    CheckConstraint("device_id BETWEEN 1 AND 4294967295", name="device_id_range"),
)  # fmt: skip
device_epoch = Table(
    "device_epoch", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _bytes("key_sealed"), _number("next_seq", 0),
    _bytes("head_mac"),
    Column("boot_nonce", LargeBinary), _text("status", "open"), _number("down_counter", 0),
    _text("broker_hash", ""), _number("incarn_seen", 0), _number("lock_reason", 0),
    _number("table_incarn", 0),
    _refers("device", "school_id", "device_id"), _one_of("status", "open", "closed", "lost", "quarantined"),
    CheckConstraint("length(head_mac) = 32", name="head_mac_length"),
)  # fmt: skip
device_table = Table(
    "device_table", metadata,
    _key("school_id"), _key("device_id"), _key("version"), _bytes("image"), _bytes("root"),
    _number("created_at"), _maybe("archived_at"), _refers("device", "school_id", "device_id"),
)  # fmt: skip
device_refusal = Table(
    "device_refusal", metadata,
    _key("school_id"), _key("device_id"), _key("code"), _number("count", 0), _number("last_at"),
)  # fmt: skip
record = Table(
    "record", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("seq"), _number("type"), _number("flags"),
    _number("day"),
    _number("time"), _number("account_id"), _number("amount"), _number("aux"), _bytes("raw"),
    _number("received_at"), _number("refusal", 0),
    _refers("device_epoch", "school_id", "device_id", "epoch"),
    CheckConstraint("length(raw) = 32", name="raw_length"),
    Index("record_of_day", "school_id", "day", "device_id", "epoch", "seq"),
)  # fmt: skip
# Authentic records of a losing branch: the same seq as another record of that epoch, with other bytes.
fork_record = Table(
    "fork_record", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("seq"),
    Column("mac", LargeBinary, primary_key=True), _bytes("raw"), _number("received_at"),
    _refers("device_epoch", "school_id", "device_id", "epoch"),
)  # fmt: skip
# What was set aside of a purse when a lost holder was released, and what late records took of it.
right_release = Table(
    "right_release", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("account_id"), _key("bucket"),
    _number("released", 0), _number("used", 0), _number("released_at"),
    _refers("device_epoch", "school_id", "device_id", "epoch"),
    CheckConstraint("used >= 0 AND used <= released", name="used_of_released"),
)  # fmt: skip
# What somebody must look at: a recovery, a forged witness, a forked device.
alarm = Table(
    "alarm", metadata,
    _row_number(), _number("school_id"), _number("at"), _text("kind"), _text("detail", ""),
    _text("subject", ""), _refers("school", "school_id"), Index("alarm_by_time", "school_id", "at"),
    Index("alarm_by_subject", "school_id", "kind", "subject"),
)  # fmt: skip

# The books.  Written by accounting only.
ledger_account = Table(
    "ledger_account", metadata,
    _key("school_id"), _key("ledger_account_id"), _text("code"),
    UniqueConstraint("school_id", "code"), _refers("school", "school_id"),
)  # fmt: skip
entry = Table(
    "entry", metadata,
    _key("school_id"), _key("entry_id"), _text("external_key"), _text("kind"), _number("happened_at"),
    _number("posted_at"),
    _maybe("device_id"), _maybe("epoch"), _maybe("seq"), _text("reason", ""), _text("corrects", ""),
    _bytes("hash"), UniqueConstraint("school_id", "external_key"), _refers("school", "school_id"),
    _one_of(
        "kind", "topup", "sale", "reversal", "payout", "release", "rerate", "fund", "settlement", "writeoff",
    ),
    CheckConstraint("length(hash) = 32", name="hash_length"),
    Index("entry_of_record", "school_id", "device_id", "epoch", "seq"),
    Index("entry_by_time", "school_id", "happened_at"),
    Index(
        "entry_of_corrected", "school_id", "corrects",
        sqlite_where=text("corrects <> ''"), postgresql_where=text("corrects <> ''"),
    ),
)  # fmt: skip
posting = Table(
    "posting", metadata,
    _key("school_id"), _key("entry_id"), _key("line"), _number("ledger_account_id"), _number("amount_minor"),
    _refers("entry", "school_id", "entry_id"), _refers("ledger_account", "school_id", "ledger_account_id"),
    CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
    Index("posting_of_account", "school_id", "ledger_account_id", "entry_id"),
)  # fmt: skip
balance = Table(
    "balance", metadata,
    _key("school_id"), _key("ledger_account_id"), _number("amount_minor", 0),
    _refers("ledger_account", "school_id", "ledger_account_id"),
)  # fmt: skip
# What the chain of entries has come to; moved with every post().
books_head = Table(
    "books_head", metadata,
    _key("school_id"), _number("entry_count", 0), _bytes("hash"), _number("movement_count", 0),
    _refers("school", "school_id"), CheckConstraint("length(hash) = 32", name="hash_length"),
)  # fmt: skip
# How far the continuous check has come, and what it found.
books_checked = Table(
    "books_checked", metadata,
    _key("school_id"), _number("entry_count", 0), _bytes("hash"), _number("checked_at"),
    _text("difference", ""), _refers("school", "school_id"),
)  # fmt: skip
refused_entry = Table(
    "refused_entry", metadata,
    _key("school_id"), Column("external_key", Text, primary_key=True),
    Column("content_hash", LargeBinary, primary_key=True),
    _number("code"), _number("count", 1), _number("first_at"), _number("last_at"), _json("content"),
    _refers("school", "school_id"),
)  # fmt: skip
# What the bank and the caterer say, whatever became of it in the books.  Written by statements only.
statement_line = Table(
    "statement_line", metadata,
    _key("school_id"), Column("source", Text, primary_key=True), Column("key", Text, primary_key=True),
    _number("day"), _number("amount_minor"), _maybe("portions"), _text("file", ""), _number("line", 0),
    _number("imported_at"), _refers("school", "school_id"), _one_of("source", "bank", "caterer"),
    Index("statement_line_of_day", "school_id", "day", "source", "key"),
)  # fmt: skip
# Requests for money back, and how far they have come.  Written by payouts only.
payout = Table(
    "payout", metadata,
    _key("school_id"), _key("number"), _text("external_key"), _number("account_id"), _number("wanted_minor"),
    _number("paid_minor", 0), _number("parts", 0), _text("reason"), _text("asked_by"), _text("state", "open"),
    _number("asked_at"), _number("changed_at"), _maybe("recalled_at"),
    UniqueConstraint("school_id", "external_key"), _refers("school", "school_id"),
    CheckConstraint("wanted_minor > 0 AND paid_minor BETWEEN 0 AND wanted_minor", name="paid_of_wanted"),
    _one_of("state", "open", "paid", "partly", "cancelled", "refused"),
    Index("payout_of_account", "school_id", "state", "account_id"),
)  # fmt: skip
# Who said that a card is lost, and how it ended; a card has one open report at most.  Written by losses only.
lost_card = Table(
    "lost_card", metadata,
    _key("school_id"), _key("number"), _number("account_id"), _bytes("card_ref"), _text("reporter"),
    _text("who"), _text("reason", ""), _number("lost_at"), _number("reported_at"), _number("table_version"),
    _maybe("ended_at"), _text("ended_by", ""), _text("end_reason", ""), _maybe("told_at"),
    _refers("pupil", "school_id", "account_id"),
    _one_of("reporter", "parent", "office", "contact_centre"),
    Index("lost_card_of_account", "school_id", "account_id"),
    Index(
        "lost_card_is_open", "school_id", "card_ref", unique=True,
        sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
    ),
)  # fmt: skip
# Purchases with a lost card that somebody decided to take back: one decision a sale.  Written by losses only.
lost_card_sale = Table(
    "lost_card_sale", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("seq"), _number("number"),
    _number("amount_minor"), _text("payer"), _text("state"), _text("request"), _text("asked_by"),
    _text("reason"), _number("asked_at"), _text("decided_by", ""), _maybe("decided_at"), _maybe("posted_at"),
    _refers("lost_card", "school_id", "number"), _one_of("payer", "loss", "caterer"),
    _one_of("state", "waits", "agreed", "declined", "posted", "refused"),
    Index("lost_card_sale_of_report", "school_id", "number"),
    Index("lost_card_sale_by_state", "state"),
)  # fmt: skip
# A restore may have forgotten payouts: nothing is paid until a person has looked.  Written by payouts only.
payout_hold = Table(
    "payout_hold", metadata,
    _row_number(), _number("school_id"), _number("held_at"), _text("why"), _maybe("released_at"),
    _text("released_by", ""), _text("release_reason", ""), _refers("school", "school_id"),
    Index("payout_hold_of_school", "school_id", "released_at"),
)  # fmt: skip
spending_right = Table(
    "spending_right", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("account_id"), _key("bucket"),
    _number("granted", 0), _number("returned", 0), _number("spent", 0), _number("voided", 0),
    _number("recall_target", 0), _number("journaled", 0), _number("tabled", 0),
    _refers("device_epoch", "school_id", "device_id", "epoch"),
    CheckConstraint(
        "granted >= 0 AND returned >= 0 AND spent >= 0 AND voided >= 0", name="counters_not_negative",
    ),
    Index("spending_right_of_account", "school_id", "account_id"),
    Index("spending_right_of_bucket", "school_id", "bucket"),
)  # fmt: skip
# The pending side of the books: every change of a counter of spending_right, and what it comes to by holder.
right_movement = Table(
    "right_movement", metadata,
    _key("school_id"), _key("movement_id"), _number("device_id"), _number("epoch"), _number("account_id"),
    _number("bucket"), _number("counter"), _number("amount"), _text("cause"), _number("cause_number"),
    _number("moved_at"), _refers("device_epoch", "school_id", "device_id", "epoch"),
    CheckConstraint("counter BETWEEN 1 AND 5", name="counter_known"),
    CheckConstraint("amount <> 0 AND (amount > 0 OR counter = 5)", name="amount_grows"),
    sqlite_with_rowid=False,
)  # fmt: skip
pending_balance = Table(
    "pending_balance", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("source"), _number("amount", 0),
    _refers("device_epoch", "school_id", "device_id", "epoch"),
)  # fmt: skip

passage = Table(
    "passage", metadata,
    _key("school_id"), _key("device_id"), _key("epoch"), _key("seq"), _number("account_id"), _number("day"),
    _number("happened_at"), _number("learnt_at"), _text("direction"), _number("turned"),
    _one_of("direction", "in", "out"), Index("passage_of_account", "school_id", "account_id", "day"),
)  # fmt: skip
good = Table(
    "good", metadata,
    _key("school_id"), _key("good_id"), _text("name"), _text("meal"), _number("from_minute"),
    _number("to_minute"), _number("price_minor"),
    _refers("school", "school_id"), CheckConstraint("good_id BETWEEN 1 AND 65535", name="good_id_range"),
    CheckConstraint("price_minor > 0", name="price_positive"),
    CheckConstraint(
        "0 <= from_minute AND from_minute <= to_minute AND to_minute < 1440", name="window_of_a_day",
    ),
)  # fmt: skip
published_price = Table(
    "published_price", metadata,
    _key("school_id"), _key("good_id"), _key("price_minor"), _number("settings_version"),
    _number("published_at"), _refers("school", "school_id"),
)  # fmt: skip
# Who is fed by which budget: the meals 1..7 of an account, both days included.
entitlement = Table(
    "entitlement", metadata,
    _key("school_id"), _key("account_id"), _key("meal"), _key("from_day"), _number("to_day"), _text("fund"),
    _text("category"), _text("basis", ""), _number("imported_at"),
    _refers("pupil", "school_id", "account_id"), CheckConstraint("meal BETWEEN 1 AND 7", name="meal_known"),
    CheckConstraint("from_day <= to_day", name="days_in_order"),
)  # fmt: skip
outbox = Table(
    "outbox", metadata,
    _row_number(), _number("school_id"), _text("event"), _maybe("account_id"), _maybe("device_id"),
    _maybe("epoch"), _maybe("seq"),
    _number("happened_at"), _number("learnt_at"), _json("detail"), _maybe("claimed_until"), _maybe("done_at"),
    _number("attempts", 0),
    _refers("school", "school_id"),
    _one_of("event", "entry", "exit", "purchase", "login_code", "card_blocked", "card_used"),
    Index("outbox_waiting", "done_at", "claimed_until", "id"),
)  # fmt: skip
message = Table(
    "message", metadata,
    _row_number(), _number("school_id"), _number("outbox_id"), _number("adult_id"), _text("channel"),
    _text("language"),
    Column("body", LargeBinary), _text("state", "waiting"), _number("happened_at"), _number("created_at"),
    _maybe("sent_at"), Column("provider_id", Text),
    UniqueConstraint("outbox_id", "adult_id", "channel"), _one_of("state", "waiting", "sent", "failed"),
    ForeignKeyConstraint(["outbox_id"], ["outbox.id"]),
    Index("message_of_adult", "school_id", "adult_id", "id"),
)  # fmt: skip
downlink = Table(
    "downlink", metadata,
    _row_number(), _number("school_id"), _number("device_id"), _text("kind"), _json("detail"),
    _number("created_at"), _maybe("done_at"), _refers("device", "school_id", "device_id"),
    _one_of("kind", "table", "settings", "grant", "recall"),
    Index("downlink_waiting", "done_at", "id"),
)  # fmt: skip
device_command = Table(
    "device_command", metadata,
    _row_number(), _number("school_id"), _number("device_id"), _number("epoch"), _number("number"),
    _text("kind"), _number("argument"), _text("who"), _text("reason"), _number("asked_at"),
    _maybe("expires_at"), _number("due_at"), _number("sent_count", 0), _text("outcome", "waiting"),
    _maybe("settled_at"), _maybe("seq"), _refers("device", "school_id", "device_id"),
    UniqueConstraint("school_id", "device_id", "epoch", "number"),
    _one_of("kind", "confirm_day", "open", "identify"), _one_of("outcome", "waiting", "obeyed", "expired"),
    Index("device_command_waiting", "settled_at", "id"),
)  # fmt: skip

# The way in for people.
login_code = Table(
    "login_code", metadata,
    _row_number(), _bytes("phone_mac"), _bytes("code_mac"), _bytes("browser_mac"), _number("created_at"),
    _number("tries", 0),
    _maybe("used_at"), _text("who", ""), Index("login_code_of_phone", "phone_mac", "created_at"),
)  # fmt: skip
session = Table(
    "session", metadata,
    Column("token_mac", LargeBinary, primary_key=True), _text("kind"), _number("school_id"),
    _maybe("adult_id"),
    _number("created_at"), _number("last_used_at"), _number("expires_at"), _maybe("revoked_at"),
    _text("who", ""), _one_of("kind", "parent", "staff"),
)  # fmt: skip

APPEND_ONLY = ("entry", "ledger_account", "posting", "record", "right_movement", "statement_line")
keep_append_only(metadata, APPEND_ONLY)
