"""Reading a day: the encodings and separators of schools, and a reason for each row left out."""

from datetime import date

import pytest

from cloud.csv_file import Problem
from scripts.play.day import Tap, read_day

DEVICES = {"gate-1": "gate", "line-1": "canteen"}
GOOD = "08:00:05;line-1;;a:04C716D07C564B;\r\n07:59:59;gate-1;in;a:0f569fab;yes\r\n"
HEADING = "time;device;reader;credential;passes\r\n"


def read(tmp_path, text, encoding="utf-8", zone="Europe/Moscow"):
    path = tmp_path / "day.csv"
    path.write_bytes(text.encode(encoding))
    return read_day(path, on=date(2026, 9, 1), zone=zone, devices=DEVICES)


def test_taps_come_in_order_of_time(tmp_path):
    taps, problems = read(tmp_path, HEADING + GOOD)
    assert not problems
    assert taps == [
        Tap(3, 1788238799, "gate-1", "in", "a:0F569FAB", True),
        Tap(2, 1788238805, "line-1", "-", "a:04C716D07C564B", False),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("delimiter", [";", ","])
def test_every_usual_spelling_reads_alike(tmp_path, encoding, delimiter):
    taps, problems = read(tmp_path, (HEADING + GOOD).replace(";", delimiter), encoding)
    assert (len(taps), problems) == (2, [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("25:00:00;gate-1;in;a:0F569FAB;yes", "the time is not of the form 08:30:00"),
        ("8 утра;gate-1;in;a:0F569FAB;yes", "the time is not of the form 08:30:00"),
        ("08:00;gate-1;in;a:0F569FAB;yes", "the time is not of the form 08:30:00"),
        ("08:00:00;gate-9;in;a:0F569FAB;yes", "the device is unknown"),
        ("08:00:00;gate-1;up;a:0F569FAB;yes", "a gate has the readers in and out"),
        ("08:00:00;gate-1;in;a:0F569FAB;perhaps", "passes must be yes or no at a gate"),
        ("08:00:00;line-1;in;a:0F569FAB;", "a line has one reader, without a name"),
        ("08:00:00;gate-1;in;0F569FAB;yes", "the credential's scheme is wrong"),
        ("08:00:00;gate-1;in", "malformed line: 3 fields, the header has 5"),
    ],
)
def test_broken_row_is_named_with_reason(tmp_path, row, reason):
    taps, problems = read(tmp_path, HEADING + GOOD + row + "\r\n")
    assert len(taps) == 2
    assert problems == [Problem("day.csv", 4, reason)]


def test_school_time_becomes_utc(tmp_path):
    taps, _ = read(tmp_path, HEADING + "00:30:00;gate-1;in;a:0F569FAB;yes\n", zone="Asia/Vladivostok")
    assert taps[0].at == 1788186600
