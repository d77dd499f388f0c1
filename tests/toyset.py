"""A data set that the library does not know of: a reader of a few lines, brought from outside."""

from metst_lib.datasets.reader import Reader, located
from metst_lib.datasets.sheets import read_sheet, text

COLUMNS = ("who", "film", "onset", "apex", "offset", "emotion", "kind")


def read(rows, path):
    reader = rows.on(read_sheet(path, COLUMNS))
    for row, cells in reader.sheet.rows():
        reader.at(row, text(cells["who"]), text(cells["film"]), text(cells["kind"]))
        emotion = {"joy": "positive", "anger": "negative", "grief": "negative", "awe": "surprise"}.get(
            text(cells["emotion"])
        )
        reader.take(*reader.numbers(cells, "onset", "apex", "offset"), onset_column="onset", emotion=emotion)
    return reader.records


TOY = Reader(
    name="toy",
    title="synthetic toy",
    licence="Free.",
    command="nothing",
    tables={"toy.xlsx": r"^toy"},
    example="anna/1/1.jpg",
    read=read,
    locate=lambda folder, paths: located(folder, "*/*", r"(\w+)/(\d)", lambda match: (match[1], match[2])),
    place="{subject}/{video}",
    window=30,
    predictor="toy/predictor.dat",
    synthetic=True,
    origin="puppets on strings",
    all_blinks=True,
)
