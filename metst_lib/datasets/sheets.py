"""Sheets of workbooks and csv files: the wanted columns by name, with the row numbers that Excel shows."""

import codecs
import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

#: Column of the cells that stand to the right of a csv file's last column.
BEYOND = "beyond the last column"


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook: cells by wanted column name, and where each row stands in Excel.

    A csv file is one without a name.
    """

    path: Path
    name: str
    cells: pd.DataFrame  # index = row number in Excel, of a csv file the line

    @property
    def label(self) -> str:
        return f"{self.path.name} [{self.name}]" if self.name else self.path.name

    @property
    def place(self) -> str:
        """The same, as errors say it."""
        return f"{self.path.name}, sheet {self.name!r}" if self.name else self.path.name

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row in Excel, cells by column) of every row that is not blank."""
        return zip(self.cells.index, self.cells.to_dict("records"), strict=True)


def read_sheet(path: Path, columns: Sequence[str], sheet: str = "") -> Sheet:
    """Read the wanted columns of a sheet (.xls or .xlsx), with Excel's row numbers as index.

    sheet: its name, case and blanks aside; by default the first. The header row is found by its names (case
    and outer blanks aside), since owners put preambles of different lengths above it.

    Raises FileNotFoundError where there is no such file, ValueError naming what was found and wanted where it
    is no workbook or lacks the sheet or a column.
    """
    book = read_cells(path)
    name = next((name for name in book if not sheet or _plain(name) == _plain(sheet)), None)
    if name is None:
        raise ValueError(f"{path.name}: sheet {sheet!r} wanted, sheets found: {', '.join(book)}")
    cells = _below_header(book[name], columns, f"{path.name}, sheet {name!r}")
    return Sheet(path, name, cells.dropna(how="all"))


def read_cells(path: Path) -> dict[str, pd.DataFrame]:
    """All sheets of a workbook by name, as they stand, without header; the index begins at 1 as Excel's."""
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    try:
        book = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="calamine")
    except Exception as error:  # calamine has an error class of its own for each format
        raise ValueError(f"{path} cannot be read as an Excel workbook: {error}") from error
    return {str(name): cells.set_axis(range(1, len(cells) + 1)) for name, cells in book.items()}


def read_csv(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Sheet:
    """Read the wanted columns of a csv file, its line numbers as index; optional ones may not be there.

    Commas, semicolons or tabs, any ends of lines, a byte-order mark, UTF-8 or UTF-16: all the same. Lines
    that begin with # are passed over. What a row has more than the header is its cell in the column `BEYOND`.

    Raises FileNotFoundError where there is no such file, ValueError naming the line that is no text or no
    csv, or the columns that are missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        lines = list(io.StringIO(content.decode("utf-16" if wide else "utf-8-sig"), newline=None))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path.name}, line {line}: not in UTF-8; save it as “CSV UTF-8”") from None
    # spreadsheets write "sep=;" first where the separator is not their own, and quote what has a comma
    lines = ["\n" if line.startswith(("#", '"#', "sep=")) else line for line in lines]
    header = next(filter(str.strip, lines), "")
    records = csv.reader(lines, delimiter=max(",;\t", key=header.count), strict=True)
    try:
        rows = dict((records.line_num, [*map(str.strip, record)]) for record in records if any(record))
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {records.line_num}: {error}") from None
    width = len(next(iter(rows.values()), ()))
    raw = pd.DataFrame([[cell or None for cell in row[:width]] for row in rows.values()], index=list(rows))
    there = [_plain(cell) for cell in raw.iloc[:1].to_numpy().ravel()]
    cells = _below_header(raw, [*columns, *(name for name in optional if _plain(name) in there)], path.name)
    beyond = {line: " ".join(filter(None, row[width:])) for line, row in rows.items()}
    cells = cells.dropna(how="all").reindex(columns=[*columns, *optional])
    return Sheet(path, "", cells.assign(**{BEYOND: cells.index.map(beyond)}))


def _below_header(raw: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    wanted = {_plain(column): column for column in columns}

    def hits(line: tuple[int, tuple]) -> tuple[int, bool]:
        cells = [_plain(cell) for cell in line[1]]
        return len(wanted.keys() & set(cells)), any(cells)

    lines = enumerate(raw.head(40).itertuples(index=False, name=None), start=1)
    number, header = max(lines, key=hits, default=(0, ()))  # the first of those that have most
    names = [_plain(cell) for cell in header]
    if missing := [repr(column) for plain, column in wanted.items() if plain not in names]:
        raise ValueError(
            f"{where}: no column {', '.join(missing)}; columns wanted: {', '.join(columns)}; "
            f"found: {', '.join(filter(None, map(text, header))) or 'none'}"
        )
    return raw.iloc[number:, [names.index(plain) for plain in wanted]].set_axis(list(columns), axis=1)


def text(cell: Any) -> str:
    """A cell as text without outer blanks; whole numbers without ".0"; "" where it is blank."""
    if pd.isna(cell):
        return ""
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()


def number(cell: Any) -> float:
    """A cell as a number; NaN where it holds none."""
    try:
        return float(text(cell))
    except ValueError:
        return math.nan


def _plain(cell: Any) -> str:
    return " ".join(text(cell).split()).casefold()
