"""The same choices come in from everywhere, and what cannot be read says why."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from revealed.choices import ChoiceLog, Columns, TextFormat, read, read_sql
from revealed.errors import DataError, RevealedError, SpecificationError
from tests.choices.tables import ALL, ragged, sound

TABLE = pa.table(sound())


def _csv(folder: Path, name: str, delimiter: str = ",") -> Path:
    path = folder / name
    with pa.output_stream(str(path), compression="detect") as stream:
        pyarrow.csv.write_csv(TABLE, stream, pyarrow.csv.WriteOptions(delimiter=delimiter))
    return path


def _parquet(folder: Path) -> Path:
    pq.write_table(TABLE, folder / "log.parquet")
    return folder / "log.parquet"


def _parts(folder: Path) -> Path:
    for part, start in enumerate((0, 4, 10)):
        name = ("part-10.parquet", "part-2.parquet", "nested/part-1.parquet")[2 - part]
        (folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(TABLE.slice(start, (4, 6, 2)[part]), folder / name)
    (folder / "_SUCCESS.parquet").write_text("not one of the parts")
    return folder


def _ipc(folder: Path, stream: bool) -> Path:
    path = folder / "log.arrow"
    with (
        pa.OSFile(str(path), "wb") as file,
        (pa.ipc.new_stream if stream else pa.ipc.new_file)(file, TABLE.schema) as to,
    ):
        to.write_table(TABLE)
    return path


def _feather(folder: Path) -> Path:
    pyarrow.feather.write_feather(TABLE, folder / "log.feather", compression="lz4")
    return folder / "log.feather"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": lambda folder: _csv(folder, "log.csv"),
    "csv name": lambda folder: str(_csv(folder, "log.csv")),
    "csv gz": lambda folder: _csv(folder, "log.csv.gz"),
    "csv zst": lambda folder: _csv(folder, "log.csv.zst"),
    "tsv": lambda folder: _csv(folder, "log.tsv", "\t"),
    "dat": lambda folder: _csv(folder, "log.dat", "\t"),
    "txt": lambda folder: _csv(folder, "log.txt", ";"),
    "parquet": _parquet,
    "parquet by content": lambda folder: _parquet(folder).rename(folder / "log.data"),
    "folder": _parts,
    "arrow file": lambda folder: _ipc(folder, stream=False),
    "arrow stream": lambda folder: _ipc(folder, stream=True),
    "feather": _feather,
    "pyarrow table": lambda _: TABLE,
    "pyarrow chunks": lambda _: pa.concat_tables([TABLE.slice(0, 5), TABLE.slice(5)]),
    "pyarrow batch": lambda _: TABLE.to_batches()[0],
    "pyarrow reader": lambda _: TABLE.to_reader(max_chunksize=5),
    "dict": lambda _: sound(),
    "pandas": lambda _: pd.DataFrame(sound()),
    "pandas index": lambda _: pd.DataFrame(sound()).set_index(["case", "alternative"]),
    "pandas objects": lambda _: pd.DataFrame(sound()).astype({"colour": object, "alternative": "category"}),
    "polars": lambda _: pl.DataFrame(sound()),
    "polars lazy": lambda _: pl.LazyFrame(sound()),
    "polars category": lambda _: pl.DataFrame(sound()).with_columns(pl.col("alternative").cast(pl.Categorical)),
    "narwhals": lambda _: nw.from_native(pl.DataFrame(sound())),
    "duckdb": lambda _: duckdb.from_arrow(TABLE),
    "log": lambda _: read(TABLE, ALL),
}


@pytest.fixture(scope="module")
def expected() -> ChoiceLog:
    return read(TABLE, ALL)


def same(log: ChoiceLog, expected: ChoiceLog) -> None:
    """Assert that two logs hold the same, whatever the types that hold it."""
    assert log.facts.levels.labels == expected.facts.levels.labels
    assert log.facts.chosen == dict(expected.facts.chosen)
    assert log.facts.null_log_likelihood == expected.facts.null_log_likelihood
    assert log.offsets.tolist() == expected.offsets.tolist()
    assert set(log.table.column_names) == set(expected.table.column_names)
    for name in ("chosen", "available", "weight", "propensity", "cost", "income"):
        assert log.numbers(name).tolist() == expected.numbers(name).tolist()
    for name in ("alternative", "colour", "person"):
        assert log.levels_of(name).labels == expected.levels_of(name).labels
        assert log.codes(name, log.levels_of(name)).tolist() == expected.codes(name, expected.levels_of(name)).tolist()
    assert [str(t)[:10] for t in log.first_cells("time").to_pylist()] == expected.first_cells("time").to_pylist()


@pytest.mark.parametrize("source", SOURCES)
def test_every_source(source: str, tmp_path: Path, expected: ChoiceLog) -> None:
    same(read(SOURCES[source](tmp_path), ALL, attributes=["cost", "colour"]), expected)


@pytest.mark.parametrize(
    "send",
    [
        ChoiceLog.to_arrow,
        ChoiceLog.to_pandas,
        ChoiceLog.to_polars,
        ChoiceLog.to_duckdb,
        lambda log: log.to_duckdb(duckdb.connect()),
    ],
)
def test_there_and_back(send: Callable[[ChoiceLog], Any], expected: ChoiceLog) -> None:
    same(read(send(expected), ALL), expected)


def test_frames_have_the_columns_of_the_log(expected: ChoiceLog) -> None:
    assert list(expected.to_pandas().columns) == TABLE.column_names
    assert expected.to_polars().shape == (12, 11)


def test_files_of_ours_know_their_roles(tmp_path: Path, expected: ChoiceLog) -> None:
    path = expected.to_parquet(tmp_path / "log.parquet")
    again = read(path)
    assert again.columns == ALL
    same(again, expected)
    assert read(path, weight="weight").columns == Columns(weight="weight")  # what is said comes before what is stored
    counted = read(TABLE, counts=True)
    assert read(counted.to_arrow()).counts
    renamed = counted.to_arrow().rename_columns({"chosen": "taken"})
    assert read(renamed, chosen="taken").columns.chosen == "taken"
    with pytest.raises(DataError, match="no column 'chosen'"):
        read(renamed)


def test_writing_is_all_or_nothing(tmp_path: Path, expected: ChoiceLog) -> None:
    with pytest.raises(RevealedError, match="cannot write"):
        expected.to_parquet(tmp_path / "no such folder" / "log.parquet")
    assert list(tmp_path.iterdir()) == []


def test_where_keeps_the_numbers_of_rows(tmp_path: Path) -> None:
    log = read(_csv(tmp_path, "log.csv"), ALL, where="income > 10 and not (case == 3 and colour == 'blue')")
    assert log.sizes.tolist() == [3, 1, 3]
    assert log.row_numbers(np.arange(log.n_rows)).tolist() == [4, 5, 6, 7, 10, 11, 12]
    with pytest.raises(DataError, match=r"no alternative is chosen .*rows 1, 10; cases 1, 4"):
        read(_csv(tmp_path, "log.csv"), ALL, where="alternative != 'car'")


def test_where_must_be_a_condition() -> None:
    with pytest.raises(SpecificationError, match="where='income' is not a condition"):
        read(sound(), where="income")
    with pytest.raises(SpecificationError, match="no column 'incme' in table; did you mean 'income'"):
        read(sound(), where="incme > 0")
    with pytest.raises(DataError, match="there are no rows"):
        read(sound(), where="income > 1000")


def test_what_is_no_source() -> None:
    with pytest.raises(SpecificationError, match="cannot read a int; give the path of a CSV"):
        read(3)
    with pytest.raises(SpecificationError, match="use read_sql"):
        read("postgresql://localhost/shop")
    with pytest.raises(DataError, match="columns of unlike length: case 1, alternative 2"):
        read({"case": [1], "alternative": ["a", "b"]})


# ---- text files -------------------------------------------------------------------------------------------------

GOOD = "case,alternative,chosen,cost\n1,bus,1,2.5\n1,car,0,3\n2,bus,0,1\n2,car,1,4\n"


def refused(path: Path, content: str | bytes, **options: Any) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "choices.csv").write_text(GOOD)
    with pytest.raises(DataError, match=r"no such file\n    remedy: in its folder did you mean 'choices.csv'"):
        read(tmp_path / "chioces.csv")
    with pytest.raises(DataError, match="no such file, nor its folder"):
        read(tmp_path / "nowhere" / "choices.csv")


@pytest.mark.parametrize("content", ["", "\n\n", "   \n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    assert "the file is empty" in refused(tmp_path / "a.csv", content)


def test_header_only(tmp_path: Path) -> None:
    assert "there are no rows" in refused(tmp_path / "a.csv", "case,alternative,chosen\n")


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_wrong_delimiter(tmp_path: Path, mark: str, name: str) -> None:
    message = refused(tmp_path / "a.csv", GOOD.replace(",", mark))
    assert f"separated by a {name}" in message
    assert f"say text=TextFormat(delimiter={mark!r})" in message
    assert read(tmp_path / "a.csv", text=TextFormat(delimiter=mark)).n_cases == 2


def test_comma_where_a_tab_should_be(tmp_path: Path) -> None:
    assert "separated by a comma" in refused(tmp_path / "a.tsv", GOOD)


def test_wrong_encoding(tmp_path: Path) -> None:
    rows = "".join(f"{i},bus,1,ok\n" for i in range(1, 200_000)) + "200000,bus,1,café\n"
    message = refused(tmp_path / "a.csv", ("case,alternative,chosen,note\n" + rows).encode("cp1252"))
    assert "byte 0xe9 is not utf-8 text [line 200,001, byte 17]" in message
    assert 'TextFormat(encoding="cp1252")' in message
    log = read(tmp_path / "a.csv", text=TextFormat(encoding="cp1252"))
    assert log.table["note"][-1].as_py() == "café"


def test_wrong_encoding_of_the_header(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", GOOD.replace("cost", "coût").encode("latin-1"))
    assert "byte 0xfb is not utf-8 text [line 1, byte 27]" in message


def test_sixteen_bits(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", GOOD.encode("utf-16"))
    assert "UTF-16 text" in message
    assert read(tmp_path / "a.csv", text=TextFormat(encoding="utf-16")).n_cases == 2


def test_unknown_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    with pytest.raises(SpecificationError, match="no encoding 'utf8mb4'"):
        read(tmp_path / "a.csv", text=TextFormat(encoding="utf8mb4"))


def test_not_text(tmp_path: Path) -> None:
    assert "the file is not text" in refused(tmp_path / "a.csv", b"\x01\0\x02\0" * 100)
    assert "a spreadsheet or an archive" in refused(tmp_path / "a.xlsx", b"PK\x03\x04" + b"\0" * 100)


def test_truncated_gzip(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((100_000, 2))
    body = "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(noise))
    packed = gzip.compress(("case,alternative,chosen\n" + body).encode())
    assert "check that the file was copied in full" in refused(tmp_path / "a.csv.gz", packed[: len(packed) // 2])


def test_ragged_rows(tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    lines.insert(3, "2,walk")
    lines.insert(5, "2,fly,0,1,2,3")
    message = refused(tmp_path / "a.csv", "\n".join(lines))
    assert "another number of cells than the header's 4; the first has 2: '2,walk' [rows 3, 5]" in message


def test_doubled_header(tmp_path: Path) -> None:
    assert "more than one column is called 'cost'" in refused(tmp_path / "a.csv", GOOD.replace("chosen", "cost"))


def test_a_byte_order_mark_quotes_and_foreign_names(tmp_path: Path) -> None:
    content = (
        '\ufeff"случай",Verkehrs mittel,"chosen ""yes""",Größe in m²\r\n'
        '1,"a bus\r\nor a tram",1,2.5\r\n1,"car, own",0,3\r\n2,"a bus\r\nor a tram",0,\r\n2,"car, own",1,4\r\n'
    )
    (tmp_path / "a b.csv").write_bytes(content.encode())
    log = read(tmp_path / "a b.csv", case="случай", alternative="Verkehrs mittel", chosen='chosen "yes"')
    assert log.facts.levels.labels == ("a bus\r\nor a tram", "car, own")
    assert log.attribute_names == ("Größe in m²",)
    with pytest.raises(DataError, match=r"missing cells \[column 'Größe in m²'; row 3; case 2\]"):
        read(
            tmp_path / "a b.csv",
            case="случай",
            alternative="Verkehrs mittel",
            chosen='chosen "yes"',
            attributes=["Größe in m²"],
        )


def test_missing_words_and_quoted_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('case,alternative,chosen,land\n1,x,1,"NA"\n1,y,0,NA\n')
    assert read(tmp_path / "a.csv").table["land"].to_pylist() == ["NA", None]
    assert read(tmp_path / "a.csv", text=TextFormat(missing=("-",))).table["land"].to_pylist() == ["NA", "NA"]


def test_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD.replace(",", ";").replace("2.5", "2,5"))
    log = read(tmp_path / "a.csv", text=TextFormat(delimiter=";", decimal=","))
    assert log.numbers("cost").tolist() == [2.5, 3, 1, 4]
    with pytest.raises(SpecificationError, match=r"comma \('2,5'\); read the file with text=TextFormat\(decimal=','\)"):
        read(tmp_path / "a.csv", text=TextFormat(delimiter=";")).numbers("cost")
    with pytest.raises(SpecificationError, match=r"text=TextFormat\(delimiter=…\)"):
        read(tmp_path / "a.csv", delimiter=";")  # type: ignore[call-arg]


def test_numbers_too_long_for_the_machine_stay_apart(tmp_path: Path) -> None:
    long = 2**64 + 1
    rows = "".join(f"{long + i},{mode},{int(mode == 'x')}\n" for i in range(3) for mode in "xy")
    (tmp_path / "a.csv").write_text("case,alternative,chosen\n" + rows)
    assert read(tmp_path / "a.csv").case_labels.to_pylist() == [str(long + i) for i in range(3)]


def test_one_very_long_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD.replace("bus", "b" * 5_000_000))
    assert len(read(tmp_path / "a.csv").facts.levels.labels[0]) == 5_000_000


def test_a_million_rows_with_one_bad_cell_on_the_last(tmp_path: Path) -> None:
    n_rows = 1_000_000
    case = np.arange(n_rows) // 10
    table = pa.table(
        {
            "case": case,
            "alternative": np.tile(np.arange(10), n_rows // 10),
            "chosen": np.tile(np.eye(10, dtype=int)[3], n_rows // 10),
            "cost": np.random.default_rng(0).integers(0, 1000, n_rows) / 8,
        }
    )
    path = tmp_path / "big.csv"
    pyarrow.csv.write_csv(table, path)
    path.write_bytes(path.read_bytes().rstrip().rpartition(b",")[0] + b",oops\n")
    log = read(path)  # as long as nobody uses the column it does no harm
    assert log.n_cases == 100_000
    with pytest.raises(DataError) as caught:
        read(path, attributes=["cost"])
    (problem,) = caught.value.problems
    assert (problem.rows, problem.cases) == ((1_000_000,), ("99999",))
    assert problem.what == "numbers mixed with text: 'oops'"
    with pytest.raises(DataError, match="1000000; case 99999"):
        log.numbers("cost")


@pytest.mark.parametrize("frame", [pd.DataFrame, dict])
def test_mixed_cells_of_frames(frame: Callable[[Any], Any]) -> None:
    table = sound() | {"cost": [1.0, 2, 3, 4, 5, "six", None, 8, 9, 10, 11, 12]}
    with pytest.raises(DataError, match=r"numbers mixed with text: 'six' \[column 'cost'; row 6; case 2\]"):
        read(frame(table), ALL, attributes=["cost"])


# ---- Parquet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated_parquet(tmp_path: Path, kept: float) -> None:
    content = _parquet(tmp_path).read_bytes()
    (tmp_path / "log.parquet").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"log.parquet: 1 problem found\n  1. cannot be read as Parquet"):
        read(tmp_path / "log.parquet")


def test_flipped_bits_in_parquet_of_ours(tmp_path: Path) -> None:
    log = read(ragged([5] * 2000))
    path = log.to_parquet(tmp_path / "log.parquet")
    content = bytearray(path.read_bytes())
    at = content.index(log.table["cost"].chunk(0).to_numpy()[500].tobytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(path)


def test_folder_of_unlike_files(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    other = TABLE.drop_columns(["cost"]).append_column("extra", pa.array(range(12)))
    pq.write_table(other.set_column(0, "case", pa.array(["x"] * 12)), tmp_path / "b.parquet")
    pq.write_table(TABLE.select(TABLE.column_names[::-1]), tmp_path / "c.parquet")  # another order is fine
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    (problem,) = caught.value.problems
    assert problem.what == "b.parquet lacks cost; has besides extra; has otherwise case (string, not int64)"


def test_folder_without_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    with pytest.raises(DataError, match=r"holds no Parquet file\n.*it holds \.csv"):
        read(tmp_path)


def test_folder_names_that_hold_a_column(tmp_path: Path) -> None:
    (tmp_path / "year=2024").mkdir()
    pq.write_table(TABLE, tmp_path / "year=2024" / "a.parquet")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    remedy = caught.value.problems[0].remedy
    query = remedy.partition('read_sql("')[2].rpartition('")')[0]
    assert read_sql(query, None, ALL).levels_of("year").labels == ("2024",)  # the remedy works


def test_problems_in_a_folder_count_rows_over_its_files(tmp_path: Path) -> None:
    spoilt = TABLE.set_column(2, "chosen", pa.array([2 if i == 10 else c for i, c in enumerate(sound()["chosen"])]))
    pq.write_table(spoilt.slice(0, 5), tmp_path / "a.parquet")
    pq.write_table(spoilt.slice(5), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"rows counted over its 2 files by name(.|\n)*row 11; case 4"):
        read(tmp_path)


def test_unusual_arrow_types() -> None:
    views = TABLE.set_column(1, "alternative", TABLE["alternative"].cast(pa.string_view()))
    runs = pa.compute.run_end_encode(TABLE["income"].combine_chunks())
    log = read(views.set_column(views.column_names.index("income"), "income", runs), ALL)
    same(log, read(TABLE, ALL))
    wide = pa.array([b"%016d" % i for i in sound()["person"]], pa.binary(16))
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), wide)
    assert read(TABLE.set_column(3, "person", uuids), ALL).facts.n_persons == 2
