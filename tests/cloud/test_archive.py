"""What the archive returned for is read back, whatever tore the file behind it."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import archive
from cloud.archive import Archive, ArchiveBroken, Grants, Records

DAY = 86_400
FIRST = Records(1, 2, 3, 4, bytes(range(32)))
SECOND = Grants(1, 2, 3, 5, ((7, 0, 100), (8, 0, 200)))
THIRD = Records(1, 2, 3, 6, b"KKA1" * 16)


def test_appended_frames_are_read_back(tmp_path) -> None:
    kept = Archive(tmp_path)
    kept.append([FIRST, SECOND], 10)
    kept.append([THIRD], 11)
    kept.close()
    assert list(Archive(tmp_path).read()) == [FIRST, SECOND, THIRD]


def test_each_day_has_its_file(tmp_path) -> None:
    kept = Archive(tmp_path)
    kept.append([FIRST], 10)
    kept.append([SECOND], DAY + 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1970-01-01.kka", "1970-01-02.kka"]
    assert list(kept.read()) == [FIRST, SECOND]
    assert stat.S_IMODE((tmp_path / "1970-01-01.kka").stat().st_mode) == 0o600


def test_clock_that_ran_ahead_changes_no_order(tmp_path) -> None:
    kept = Archive(tmp_path)
    kept.append([FIRST], 10)
    kept.append([SECOND], 20 * DAY)
    kept.append([THIRD], 11)
    assert list(kept.read()) == [FIRST, SECOND, THIRD]
    kept.close()
    Archive(tmp_path).append([FIRST], 12)
    assert list(Archive(tmp_path).read()) == [FIRST, SECOND, THIRD, FIRST]


def test_torn_frame_hides_no_later_one(tmp_path) -> None:
    Archive(tmp_path).append([FIRST, SECOND], 10)
    path = tmp_path / "1970-01-01.kka"
    whole = path.read_bytes()
    first = len(archive._frame(FIRST))
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        Archive(tmp_path).append([THIRD], 10)
        assert list(Archive(tmp_path).read()) == [FIRST, THIRD]


@given(st.data())
def test_damaged_byte_costs_one_frame(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("archive")
    Archive(folder).append([FIRST, SECOND, THIRD], 10)
    path = folder / "1970-01-01.kka"
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    found = list(Archive(folder).read())
    assert len(found) == 2
    assert set(found) < {FIRST, SECOND, THIRD}


def test_half_written_frame_is_an_error(tmp_path, monkeypatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:-1]))
    with pytest.raises(ArchiveBroken):
        Archive(tmp_path).append([FIRST], 10)


def test_disk_is_waited_for(tmp_path, monkeypatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    kept = Archive(tmp_path)
    kept.append([FIRST, SECOND], 10)
    kept.append([], 10)
    assert len(synced) == 1
