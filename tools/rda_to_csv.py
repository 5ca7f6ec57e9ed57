"""Writes one data frame of an R .rda file as CSV. usage: rda_to_csv.py FILE.rda NAME OUT.csv

Numbers that are whole are written without a fraction, names of columns stay as they are, and the factor column
`Class` becomes the text column `class`.
"""
import sys

import rdata


def cell(value) -> str:
    if isinstance(value, str):
        if any(c in value for c in ',"\n\r'):
            raise SystemExit(f"rda_to_csv: {value!r} would need quoting; this writer does not quote")
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    path, name, out = sys.argv[1:]
    frames = rdata.read_rda(path)
    if name not in frames:
        raise SystemExit(f"rda_to_csv: {path} has no object {name}; it has {', '.join(frames)}")
    frame = frames[name].rename(columns={"Class": "class"})
    columns = [frame[column].tolist() for column in frame.columns]
    with open(out, "w", encoding="ascii", newline="\n") as file:
        file.write(",".join(frame.columns) + "\n")
        for row in zip(*columns):
            file.write(",".join(cell(value) for value in row) + "\n")


if __name__ == "__main__":
    main()
