"""Encodings other than UTF-8 are named, so that a person knows what to save anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.loading import refusal, write

TEXTS = {
    "shift_jis": ("Shift JIS", "台所の電気をつけてください。ありがとう。"),
    "euc_jp": ("EUC-JP", "台所の電気をつけてください。ありがとう。"),
    "gb2312": ("GB 2312 or GB 18030", "请打开厨房的灯，谢谢你的帮助。"),
    "gb18030": ("GB 2312 or GB 18030", "请打开厨房的灯，谢谢你的帮助。"),
    "euc_kr": ("EUC-KR", "부엌 불을 켜 주세요. 고맙습니다."),
    "cp1251": ("Windows-1251", "Включи свет на кухне, пожалуйста."),
    "koi8_r": ("KOI8-R", "Включи свет на кухне, пожалуйста."),
    "cp1252": ("Windows-1252 or Latin-1", "Schalte das Licht für die Küche ein, bitte: größer."),
    "latin-1": ("Windows-1252 or Latin-1", "Allume la lumière près de la fenêtre, s'il te plaît"),
}


@pytest.mark.parametrize("codec", TEXTS)
def test_the_encoding_is_named(codec: str, tmp_path: Path) -> None:
    name, text = TEXTS[codec]
    content = f'{{"prompt": "{text}", "answer": "x"}}\n'.encode(codec)
    error = refusal(write(tmp_path / "x.jsonl", content))
    assert f"it looks like {name};" in str(error)
    assert error.report.problems[0].row == 1


@pytest.mark.parametrize(("codec", "name"), [("utf-16", "UTF-16"), ("utf-32", "UTF-32")])
def test_wide_encodings_are_named_by_their_marks(codec: str, name: str, tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "x.jsonl", "{}".encode(codec)))
    assert f"it is {name} text" in str(error)
