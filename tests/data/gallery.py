"""Broken files: what is wrong, the file's name, its content, and the message it must bring."""

from __future__ import annotations

import gzip
import io
import json

import pyarrow
import pyarrow.parquet

from tests.data.gallery_containers import CONTAINERS

GOOD = '{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "d"}\n'
UTF8 = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
UNPACK = "unpack it with gunzip and add what is inside"
PROPER = "put it right or remove the row"


def parquet_bytes() -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"prompt": ["a", "b"], "answer": ["c", "d"]}), sink)
    return sink.getvalue()


def turns(*roles: str) -> str:
    return json.dumps({"messages": [{"role": role, "content": "x"} for role in roles]}) + "\n"


GALLERY: list[tuple[str, str, str | bytes, str]] = [
    ("empty", "x.jsonl", "", "x.jsonl: the file is empty; add one demonstration a row"),
    (
        "blank lines",
        "x.jsonl",
        "\n \n\r\n",
        "x.jsonl: it holds no rows; add one demonstration a row",
    ),
    (
        "byte order mark only",
        "x.csv",
        "\ufeff",
        "x.csv: it holds no rows; add one demonstration a row",
    ),
    ("empty list", "x.json", "[]", "x.json: it holds no rows; add one demonstration a row"),
    ("header only", "x.csv", "a,b\n", "x.csv: it holds no rows; add one demonstration a row"),
    (
        "utf-16",
        "x.csv",
        "prompt,answer\n".encode("utf-16"),
        f"x.csv: it is UTF-16 text, not UTF-8; {UTF8}",
    ),
    (
        "utf-16 without a mark",
        "x.jsonl",
        GOOD.encode("utf-16-le"),
        "x.jsonl, row 1: a NUL byte at offset 1 (line 1): this looks like UTF-16 text; " + UTF8,
    ),
    (
        "latin-1",
        "x.jsonl",
        GOOD.encode() + '{"prompt": "é", "answer": "x"}'.encode("latin-1"),
        "x.jsonl, row 3: byte 0xe9 at offset 74 (line 3) is not UTF-8; "
        f"it looks like Windows-1252 or Latin-1; {UTF8}",
    ),
    (
        "cut within a character",
        "x.jsonl",
        (GOOD + "é").encode()[:-1],
        "x.jsonl, row 3: the last character, at offset 62 (line 3), is cut in two; "
        "fetch or write the file again: its end is missing",
    ),
    (
        "binary",
        "x.jsonl",
        bytes(range(1, 256)) * 4,
        "x.jsonl, row 2: byte 0x80 at offset 127 (line 2) is no text: the file is binary; "
        "add a JSONL, JSON, CSV or Parquet file, or remove the byte",
    ),
    (
        "a NUL among text",
        "x.jsonl",
        GOOD.encode() + b'{"prompt": "\0"}',
        "x.jsonl, row 3: byte 0x00 at offset 74 (line 3) is no text: the file is binary; "
        "add a JSONL, JSON, CSV or Parquet file, or remove the byte",
    ),
    ("gzip", "x.jsonl.gz", gzip.compress(b"a"), f"x.jsonl.gz: it is a gzip archive; {UNPACK}"),
    ("torn gzip", "x.jsonl", gzip.compress(b"a")[:9], f"x.jsonl: it is a gzip archive; {UNPACK}"),
    (
        "torn zip",
        "x.csv",
        b"PK\x03\x04rest",
        "x.csv: the zip archive cannot be unpacked (File is not a zip file); "
        "pack or fetch it again",
    ),
    (
        "web page",
        "x.json",
        "<!DOCTYPE html><p>Not found",
        "x.json: it is a web page or XML; download the data file itself",
    ),
    (
        "no telling name or content",
        "x.dat",
        "hello",
        'x.dat: its name ends in ".dat", and its content does not tell its format; '
        "name it .jsonl, .json, .csv, .parquet, .arrow or .txt",
    ),
    (
        "single quotes",
        "x.jsonl",
        "{'prompt': 'a'}\n" + GOOD,
        "x.jsonl, row 1: not valid JSON: expecting property name enclosed in double quotes at "
        "column 2; write names and texts in double quotes, and no comma before }",
    ),
    (
        "torn line",
        "x.jsonl",
        GOOD + '{"prompt": "e", "ans',
        f"x.jsonl, row 3: not valid JSON: unterminated string at column 17; {PROPER}",
    ),
    (
        "two objects on a line",
        "x.jsonl",
        GOOD + "{} {}\n",
        f"x.jsonl, row 3: not valid JSON: text after the value at column 3; {PROPER}",
    ),
    (
        "a list instead of an object",
        "x.jsonl",
        GOOD + "[1]\n",
        'x.jsonl, row 3: expected an object like {"prompt": ..., "demonstration": ...}, '
        "found a list; write one object a row",
    ),
    (
        "doubled key",
        "x.jsonl",
        GOOD + '{"prompt": "x", "prompt": "y", "answer": "z"}\n',
        'x.jsonl, row 3: "prompt" stands twice in one object; keep one of them',
    ),
    (
        "NaN",
        "x.jsonl",
        GOOD + '{"prompt": NaN, "answer": "z"}\n',
        "x.jsonl, row 3: NaN is no JSON value; write a number, text or null",
    ),
    (
        "endless digits",
        "x.jsonl",
        GOOD + '{"prompt": "a", "n": ' + "9" * 5000 + "}\n",
        "x.jsonl, row 3: a number has 5,000 digits; write it as text",
    ),
    (
        "absurd depth",
        "x.jsonl",
        GOOD + '{"prompt": ' + "[" * 100_000 + "\n",
        "x.jsonl, row 3: it is nested too deeply; flatten the row or remove it",
    ),
    (
        "absurd depth in a list",
        "x.json",
        "[" * 100_000,
        "x.json, row 1: it is nested too deeply; flatten the row or remove it",
    ),
    (
        "list cut off",
        "x.json",
        '[{"prompt": "a", "answer": "b"}',
        "x.json, row 1: not valid JSON: the file is cut off at line 1, column 32; "
        "put it right; nothing after it can be read",
    ),
    (
        "no list",
        "x.json",
        '{"rows": [1], "n": 2}',
        'x.json: expected a list of objects or {"data": [...]}, found an object with "rows" '
        '(a list), "n" (a number); write a list, or name the file .jsonl where each line is an '
        "object",
    ),
    (
        "ragged row",
        "x.csv",
        "prompt,answer\na,b\nc,d,e\n",
        "x.csv, row 2: it has 3 fields, the header has 2; put double quotes around text that "
        "holds the separator or a line break",
    ),
    (
        "open quote",
        "x.csv",
        'prompt,answer\na,b\nc,"d\n',
        "x.csv, row 2: a double quote opens a text that never ends; "
        "close it, or double each quote inside a text",
    ),
    (
        "doubled column",
        "x.csv",
        "prompt,answer,answer\na,b,c\n",
        'x.csv: the header names "answer" twice; rename one of the columns',
    ),
    (
        "torn Parquet",
        "x.parquet",
        parquet_bytes()[:-20],
        "x.parquet: the Parquet file cannot be read (Parquet magic bytes not found in footer. "
        "Either the file is corrupted or this is not a parquet file); "
        "write or fetch it again: it may have been cut off",
    ),
    (
        "no Parquet",
        "x.parquet",
        "a,b\n1,2",
        "x.parquet: it is no Parquet file, whatever its name says; save it again",
    ),
    (
        "no answer",
        "x.jsonl",
        GOOD + '{"prompt": "e"}\n',
        'x.jsonl, row 3: "answer" is missing; add a response or remove the row',
    ),
    (
        "blank answer",
        "x.csv",
        "prompt,answer\na,b\nc,\n",
        'x.csv, row 2: "answer" is empty; add a response or remove the row',
    ),
    (
        "answer that is no text",
        "x.jsonl",
        GOOD + '{"prompt": "e", "answer": {"a": 1}}\n',
        'x.jsonl, row 3: "answer" is an object, expected text; write it as text',
    ),
    (
        "half a character",
        "x.jsonl",
        GOOD + '{"prompt": "e\\ud83d", "answer": "f"}\n',
        'x.jsonl, row 3: "prompt" holds half a character (\\ud83d) at 2; write the whole character',
    ),
    (
        "NUL character",
        "x.jsonl",
        GOOD + '{"prompt": "e", "answer": "f\\u0000"}\n',
        'x.jsonl, row 3: "answer" holds a NUL character; remove it',
    ),
    (
        "unknown columns",
        "x.jsonl",
        '{"q": "a", "a": "b"}\n',
        'x.jsonl: no column is known to hold the prompt; the file has "q", "a"; '
        "say which one with --map prompt=COLUMN",
    ),
    (
        "turns without an answer",
        "x.jsonl",
        turns("user", "assistant") + turns("user"),
        'x.jsonl, row 2: "messages" has no assistant turn, so nothing is demonstrated; '
        "add the answer as the last turn",
    ),
    (
        "one row many times",
        "x.jsonl",
        '{"prompt": "a", "answer": "b"}\n' * 5,
        "x.jsonl: all 5 rows are the same; a task needs 2, one to train on and one to hold out; "
        "add rows with other prompts",
    ),
    (
        "one row",
        "x.jsonl",
        '{"prompt": "a", "answer": "b"}\n',
        "x.jsonl: it holds only 1 row; a task needs 2, one to train on and one to hold out; "
        "add rows with other prompts",
    ),
    (
        "one prompt",
        "x.jsonl",
        '{"prompt": "a", "answer": "b"}\n{"prompt": " A", "answer": "c"}\n',
        "x.jsonl: all 2 rows have the same prompt, so none can be held out; "
        "add rows with other prompts, or hold out a file of its own",
    ),
    (
        "doubled id",
        "x.jsonl",
        '{"id": 7, "prompt": "a", "answer": "b"}\n{"id": "7", "prompt": "c", "answer": "d"}\n',
        'x.jsonl, row 2: the id "7" already stands in row 1; give each row an id of its own',
    ),
    *CONTAINERS,
]
