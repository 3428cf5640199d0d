"""Files as schools make them: encodings, delimiters, quotes, line ends, and what is wrong in them."""

import csv
import io
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.csv_file import SIZE_MAX, Problem, Refused, parse_table, read_table, text_of

COLUMNS = ("student_id", "name")
CYRILLIC = "student_id;name\r\nS1;Иванов Пётр\r\nS2;Ёлкина Анна\r\n"


def rows(raw: bytes, columns=COLUMNS):
    return [
        (row.line, *(row.fields[name] for name in columns)) for row in parse_table("f.csv", raw, columns).rows
    ]


def problems(raw: bytes, columns=COLUMNS):
    return [(problem.line, problem.reason) for problem in parse_table("f.csv", raw, columns).problems]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_every_usual_shape_reads_alike(encoding, delimiter, line_end):
    raw = CYRILLIC.replace(";", delimiter).replace("\r\n", line_end).encode(encoding)
    assert rows(raw) == [(2, "S1", "Иванов Пётр"), (3, "S2", "Ёлкина Анна")]
    assert problems(raw) == []


def test_quotes_hold_delimiters_and_quotes():
    assert rows(b'student_id,name\n1,"Smith, ""Jo"""\n"2",x "y" z\n') == [
        (2, "1", 'Smith, "Jo"'),
        (3, "2", 'x "y" z'),
    ]


def test_open_quote_spoils_its_line_only():
    raw = b'student_id;name\nS1;"open\nS2;good\nS3;"a"b\nS4;good\n'
    assert [line for line, *_ in rows(raw)] == [3, 5]
    assert problems(raw) == [(line, "malformed line: a quote is out of place") for line in (2, 4)]


def test_columns_come_in_any_order():
    assert rows(b" Name ;extra;STUDENT_ID\nA;b;1\n") == [(2, "1", "A")]


def test_missing_column_names_itself():
    assert problems(b"student_id;nom\n1;2\n") == [(1, "column missing: name")]
    assert rows(b"student_id;nom\n1;2\n") == []


def test_doubled_column_is_no_guess():
    assert problems(b"student_id;name;name\n1;2;3\n") == [(1, "column given twice: name")]


def test_wrong_number_of_fields_is_a_problem():
    raw = b"student_id;name\n1\n2;b;c\n3;c;;\n\n;;\n4;d\n"
    assert rows(raw) == [(4, "3", "c"), (7, "4", "d")]
    assert problems(raw) == [
        (2, "malformed line: 1 fields, the header has 2"),
        (3, "malformed line: 3 fields, the header has 2"),
    ]


def test_broken_bytes_spoil_their_line_only():
    raw = CYRILLIC.encode().splitlines(keepends=True)
    raw.insert(2, "S9;Гришин\r\n".encode("cp1251"))
    assert [line for line, *_ in rows(b"".join(raw))] == [2, 4]
    assert problems(b"".join(raw))[0][0] == 3


def test_utf8_line_among_cp1251_is_a_problem():
    raw = CYRILLIC.encode("cp1251") + "S3;Петров\r\n".encode()
    assert [line for line, *_ in rows(raw)] == [2, 3]
    assert "another encoding" in problems(raw)[0][1]


def test_byte_without_a_letter_is_a_problem():
    assert [line for line, _ in problems(CYRILLIC.encode("cp1251") + b"S3;\xc0\x98\xe0\xe0\r\n")] == [4]


@pytest.mark.parametrize("character", ["\x00", "\x07", "\u2028", "\u202e", "\x1b"])
def test_invisible_characters_are_a_problem(character):
    assert problems(f"student_id;name\n1;a{character}b\n".encode()) == [
        (2, "malformed line: a control character")
    ]


@pytest.mark.parametrize(
    ("raw", "line", "reason"),
    [
        (b"", 0, "the file is empty"),
        (b"\n\n", 0, "the file is empty"),
        ("student_id;name\n".encode("utf-16"), 0, "the file is UTF-16: save it as CSV UTF-8"),
        (b"\xef\xbb\xbf\xff\xfe;name\n", 1, "the header cannot be decoded"),
    ],
)
def test_hopeless_file_is_one_problem(raw, line, reason):
    assert problems(raw) == [(line, reason)]


def test_endless_line_is_a_problem():
    assert problems(b"student_id;name\n1;" + b"x" * 20_000) == [
        (2, "malformed line: longer than 10000 letters")
    ]


def test_missing_and_huge_files_are_problems(tmp_path):
    assert read_table(tmp_path / "a.csv", COLUMNS).problems == [Problem("a.csv", 0, "the file is missing")]
    with (tmp_path / "b.csv").open("wb") as file:
        file.truncate(SIZE_MAX + 1)
    assert read_table(tmp_path / "b.csv", COLUMNS).problems[0].reason == "the file is larger than 10 MB"
    (tmp_path / "c.csv").mkdir()
    assert read_table(tmp_path / "c.csv", COLUMNS).problems[0].reason.startswith("the file cannot be read")


def test_text_of_refuses_empty_and_endless():
    assert text_of({"a": "x"}, "a") == "x"
    assert text_of({"a": ""}, "a", empty=True) == ""
    for value, reason in (("", "a is empty"), ("x" * 101, "a is longer than 100 letters")):
        with pytest.raises(Refused, match=reason):
            text_of({"a": value}, "a")


# A word that ends like this is never valid UTF-8 when it is written in cp1251, as real names never are.
words = st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГЁ -", max_size=12).map(lambda body: f"Р{body}ина")
cells = st.text(
    st.characters(codec="cp1251", exclude_categories=("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")), max_size=8
)


@given(
    st.lists(st.tuples(words, cells), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1251"]),
    st.sampled_from(";,\t"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
@example([("Рина", '"'), ("Рёина", ";,\t")], "cp1251", ";", csv.QUOTE_MINIMAL, "\n")
def test_what_was_written_is_read(table, encoding, delimiter, quoting, line_end):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerow(COLUMNS)
    writer.writerows(table)
    wanted = [
        (line, *(unicodedata.normalize("NFC", cell).strip() for cell in row))
        for line, row in enumerate(table, start=2)
    ]
    raw = text.getvalue().encode(encoding)
    assert rows(raw) == wanted
    assert problems(raw) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_problems(noise):
    table = parse_table("f.csv", b"student_id;name\r\nS1;a\r\n" + noise + b"\r\nS2;b\r\n", COLUMNS)
    lines = [row.line for row in table.rows] + [problem.line for problem in table.problems]
    assert len(lines) == len(set(lines))
    assert {"S1", "S2"} <= {row.fields["student_id"] for row in table.rows}
