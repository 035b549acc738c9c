"""More broken files: archives, tables, conversations and tool calls, made where they are large."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow
import pyarrow.ipc

from tests.data.toolalpaca_rows import api

REPACK = "pack the data files alone, with plain names"
CALL = 'write {"function": {"name": ..., "arguments": ...}}'
GOOD = '{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "d"}\n'


def zipped(**files: str | bytes) -> bytes:
    return archive(lambda made: [made.writestr(name, content) for name, content in files.items()])


def archive(fill: Callable[[zipfile.ZipFile], Any]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        fill(made)
    return sink.getvalue()


def bomb() -> bytes:
    """Thirty megabytes in thirty kilobytes."""
    return zipped(**{"rows.jsonl": b"\n" * (30 << 20)})


def named(name: str) -> bytes:
    return archive(lambda made: made.writestr(zipfile.ZipInfo(name), GOOD))


def link() -> bytes:
    info = zipfile.ZipInfo("rows.jsonl")
    info.external_attr = 0o120777 << 16
    return archive(lambda made: made.writestr(info, "/etc/passwd"))


def encrypted() -> bytes:
    """Marked as encrypted, in its own head and in the directory at the end."""
    content = bytearray(zipped(**{"rows.jsonl": GOOD}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def spoiled() -> bytes:
    content = bytearray(zipped(**{"rows.jsonl": GOOD}))
    content[45] ^= 0xFF
    return bytes(content)


def arrow_stream() -> bytes:
    sink = io.BytesIO()
    table = pyarrow.table({"prompt": ["a", "b"], "answer": ["c", "d"]})
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def talk(*turns: dict[str, Any]) -> str:
    good = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    return json.dumps(good) + "\n" + json.dumps({"messages": list(turns)}) + "\n"


def calling(call: Any) -> str:
    user = {"role": "user", "content": "q2"}
    return talk(user, {"role": "assistant", "content": None, "tool_calls": [call]})


def apis(**changes: Any) -> str:
    return json.dumps([api("One", 2), {**api("Two", 2), **changes}])


CONTAINERS: list[tuple[str, str, str | bytes, str]] = [
    (
        "zip bomb",
        "x.zip",
        bomb(),
        'x.zip: "rows.jsonl" in the zip archive would grow 1,028 times when unpacked; '
        "unpack it yourself and add the data file, if you trust it",
    ),
    (
        "a path that leads out of a zip",
        "x.zip",
        named("../../rows.jsonl"),
        f'x.zip: the zip archive names "../../rows.jsonl", a place outside of it; {REPACK}',
    ),
    (
        "an absolute path in a zip",
        "x.zip",
        named("/tmp/rows.jsonl"),
        f'x.zip: the zip archive names "/tmp/rows.jsonl", a place outside of it; {REPACK}',
    ),
    (
        "a drive in a zip",
        "x.zip",
        named("C:\\rows.jsonl"),
        f'x.zip: the zip archive names "C:\\rows.jsonl", a place outside of it; {REPACK}',
    ),
    (
        "a link in a zip",
        "x.zip",
        link(),
        f'x.zip: "rows.jsonl" in the zip archive is a link; {REPACK}',
    ),
    (
        "encrypted zip",
        "x.zip",
        encrypted(),
        'x.zip: "rows.jsonl" in the zip archive is encrypted; pack it without password',
    ),
    (
        "archive in an archive",
        "x.zip",
        zipped(**{"rows.zip": zipped(**{"rows.jsonl": GOOD})}),
        f'x.zip: "rows.zip" in the zip archive is an archive again; {REPACK}',
    ),
    (
        "spoiled zip",
        "x.zip",
        spoiled(),
        "x.zip: the zip archive cannot be unpacked (rows.jsonl: Bad CRC-32 for file 'rows.jsonl'); "
        "pack or fetch it again",
    ),
    (
        "zip without data",
        "x.zip",
        zipped(**{"picture.png": b"\x89PNG"}),
        "x.zip: it is a folder without data files; give a JSONL, JSON, CSV, Parquet or Arrow file, "
        "or a folder that holds some",
    ),
    (
        "spreadsheet",
        "x.xlsx",
        zipped(**{"xl/workbook.xml": "<a/>"}),
        "x.xlsx: it is a spreadsheet; save the sheet as CSV UTF-8",
    ),
    (
        "a faulty row in a zip",
        "x.zip",
        zipped(**{"a.jsonl": GOOD, "b.jsonl": "{\n"}),
        "x.zip, row 3: in b.jsonl, row 1: not valid JSON: expecting property name enclosed in "
        "double quotes at column 2; write names and texts in double quotes, and no comma before }",
    ),
    (
        "saved dataset without its file",
        "x.zip",
        zipped(**{"d/state.json": '{"_data_files": [{"filename": "data.arrow"}]}'}),
        'x.zip: state.json names "data.arrow", which is not there; '
        "write it again with save_to_disk",
    ),
    (
        "saved dataset that leads elsewhere",
        "x.zip",
        zipped(**{"d/state.json": '{"_data_files": [{"filename": "../../../etc/passwd"}]}'}),
        'x.zip: it names "../../../etc/passwd", a place outside of it; '
        "write it again with save_to_disk",
    ),
    (
        "no Arrow",
        "x.arrow",
        "prompt,answer\n",
        "x.arrow: it is no Arrow file, whatever its name says; save it again",
    ),
    (
        "torn Arrow",
        "x.arrow",
        arrow_stream()[:-120],
        "x.arrow: the Arrow file cannot be read (Expected to read 216 metadata bytes, but only "
        "read 152); write or fetch it again: it may have been cut off",
    ),
    (
        "a call without a function",
        "x.jsonl",
        calling({"arguments": "{}"}),
        f'x.jsonl, row 2: a tool call of turn 2 of "messages" names no function; {CALL}',
    ),
    (
        "a call with broken arguments",
        "x.jsonl",
        calling({"function": {"name": "f", "arguments": "{"}}),
        'x.jsonl, row 2: the arguments of a tool call of turn 2 of "messages" are no JSON (not '
        "valid JSON: expecting property name enclosed in double quotes at column 2); " + CALL,
    ),
    (
        "a picture among the turns",
        "x.jsonl",
        talk({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}),
        'x.jsonl, row 2: the content of turn 1 of "messages" has a part that is no text '
        "(image_url); write it as text or remove the row",
    ),
    (
        "an unknown speaker",
        "x.jsonl",
        talk({"from": "narrator", "value": "x"}),
        'x.jsonl, row 2: the role of turn 1 of "messages" is "narrator"; '
        "use system, user, assistant, tool",
    ),
    (
        "an API with fewer answers than requests",
        "x.json",
        apis(Golden_Answers=[[{"Action": "f", "Action_Input": "{}"}]]),
        'x.json, row 2: "Golden_Answers" has 1 entries for 2 Instructions; '
        "give each request its calls",
    ),
    (
        "an API without documentation",
        "x.json",
        apis(NLDocumentation=None),
        'x.json, row 2: "NLDocumentation" is missing; add what the API\'s functions do',
    ),
    (
        "an API with no call",
        "x.json",
        apis(Golden_Answers=[[], [{"Action": "f"}]]),
        'x.json, row 2: "Golden_Answers[1]" is empty; add the calls, or remove the request',
    ),
    (
        "a corpus of one line",
        "x.txt",
        "Too short.\n",
        "x.txt, row 1: the passage has fewer than 6 words, so there is nothing to continue; "
        "join it with the next one, or remove it",
    ),
    (
        "an unknown split",
        "x.jsonl",
        "".join(
            json.dumps({"prompt": f"p{i}", "answer": f"a{i}", "split": "train"}) + "\n"
            for i in range(250)
        )
        + '{"prompt": "p", "answer": "a", "split": "third"}\n',
        'x.jsonl, row 251: "split" is "third"; write train, validation or test',
    ),
    (
        "names in two languages",
        "x.jsonl",
        GOOD + '{"frage": "e", "antwort": "f"}\n',
        'x.jsonl, row 3: "prompt" is missing (and 1 more problem); '
        'this row names it "frage": give it the same name in all rows',
    ),
    (
        "a group for all rows",
        "x.jsonl",
        "".join(
            json.dumps({"prompt": f"p{i}", "answer": f"a{i}", "group": "g"}) + "\n"
            for i in range(3)
        ),
        "x.jsonl: all 3 rows are of one group, so none can be held out; "
        "add rows of another group, or keep only prompts together",
    ),
]
