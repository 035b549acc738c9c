"""From a file to a task's two parts: what is kept, counted, warned of and hashed."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet

from backend.data.demonstration import Message
from backend.data.report import LISTED_PROBLEMS
from backend.data.writing import to_jsonl
from tests.data.loading import load, pairs, refusal, report_of, write


def test_rows_become_demonstrations(tmp_path: Path) -> None:
    row = {
        "id": 12,
        "system": "Be kind.",
        "question": "a",
        "answer": 42,
        "reference": ["42", 4.5, ""],
        "tags": "x, y",
    }
    loaded = load(write(tmp_path / "x.jsonl", [row, {"question": "b", "answer": "c"}]))
    first, second = sorted([*loaded.training, *loaded.held_out], key=lambda r: r.row)
    assert first.id == "12"
    assert first.messages == (
        Message(role="system", content="Be kind."),
        Message(role="user", content="a"),
    )
    assert first.demonstration == "42"
    assert first.reference == ("42", "4.5")
    assert first.tags == ("x", "y")
    assert (second.id, second.reference, second.tags, second.target) == ("row-2", None, (), "c")


def test_text_is_taken_letter_by_letter(tmp_path: Path) -> None:
    text = '  {x} $y \\n <|im_end|> <script> =1+1 é🙂\u2028\r\n "'
    loaded = load(write(tmp_path / "x.jsonl", [{"prompt": text, "answer": text}, *pairs(1)]))
    first = min([*loaded.training, *loaded.held_out], key=lambda r: r.row)
    assert (first.prompt, first.demonstration) == (text, text)


def test_a_parquet_file_of_turns_is_read(tmp_path: Path) -> None:
    turns = [
        [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]
        for i in range(4)
    ]
    pyarrow.parquet.write_table(pyarrow.table({"messages": turns}), tmp_path / "x.parquet")
    loaded = load(tmp_path / "x.parquet")
    assert sorted(r.demonstration for r in [*loaded.training, *loaded.held_out]) == [
        "a0",
        "a1",
        "a2",
        "a3",
    ]


def test_missing_values_of_a_parquet_file_are_missing(tmp_path: Path) -> None:
    table = pyarrow.table(
        {"prompt": ["a", "b", "c"], "answer": ["x", None, "y"], "tags": [float("nan")] * 3}
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    (problem,) = report_of(tmp_path / "x.parquet").problems
    assert (problem.row, problem.field, problem.problem) == (2, "answer", '"answer" is missing')


def test_bytes_that_are_no_text_in_parquet_are_one_rows_fault(tmp_path: Path) -> None:
    prompts = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary())
    table = pyarrow.table({"prompt": prompts.view(pyarrow.string()), "answer": ["x", "y", "z"]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    (problem,) = report_of(tmp_path / "x.parquet").problems
    assert problem.row == 2
    assert problem.problem.startswith("a text is not UTF-8")


def test_every_faulty_field_of_a_row_is_named(tmp_path: Path) -> None:
    rows = [*pairs(2), {"prompt": "", "answer": None, "id": []}]
    report = report_of(write(tmp_path / "x.jsonl", rows))
    assert [(p.row, p.field, p.problem) for p in report.problems] == [
        (3, "prompt", '"prompt" is empty'),
        (3, "answer", '"answer" is missing'),
        (3, "id", '"id" is a list, expected text'),
    ]
    assert report.counts == {"empty": 1, "missing": 1, "not_text": 1}
    assert report.rows_read == 3


def test_all_problems_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    rows = [*pairs(2), *({"prompt": "a", "answer": ""} for _ in range(LISTED_PROBLEMS + 50))]
    error = refusal(write(tmp_path / "x.jsonl", rows))
    assert len(error.report.problems) == LISTED_PROBLEMS
    assert error.report.counts == {"empty": LISTED_PROBLEMS + 50}
    assert "(and at least 999 more problems)" in str(error)


def test_what_ends_the_reading_is_told_first(tmp_path: Path) -> None:
    content = 'prompt,answer\na,\nb,"c'
    error = refusal(write(tmp_path / "x.csv", content))
    assert str(error) == (
        "x.csv, row 2: a double quote opens a text that never ends (and 1 more problem); "
        "close it, or double each quote inside a text"
    )
    assert [p.row for p in error.report.problems] == [2, 1]


def test_good_rows_are_kept_only_by_choice_which_is_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [*pairs(3), {"prompt": "a"}, {"prompt": "b"}])
    assert not report_of(path).ok
    loaded = load(path, keep_good=True)
    assert len(loaded.training) + len(loaded.held_out) == 3
    assert loaded.report.ok
    assert [p.row for p in loaded.report.problems] == [4, 5]
    assert loaded.report.warnings == ("2 problems: the good rows are kept, as you chose",)
    assert loaded.report.counts == {"missing": 2, "left_out": 2}


def test_a_choice_to_keep_good_rows_needs_some(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [*pairs(1), {"prompt": "a"}, {"prompt": "b"}])
    error = refusal(path, keep_good=True)
    assert str(error).startswith("x.jsonl: only 1 of 3 rows is distinct and without fault")


def test_the_choice_does_not_cover_a_file_that_cannot_be_read_on(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", json.dumps(pairs(3))[:-5])
    assert "cannot be read" not in str(refusal(path, keep_good=True))


def test_duplicates_are_dropped_with_a_warning(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "x.jsonl", [*pairs(3), *pairs(2)]))
    assert len(loaded.training) + len(loaded.held_out) == 3
    assert loaded.report.warnings == ("2 duplicates of earlier rows dropped (row 4 as row 1)",)
    assert loaded.report.counts == {"duplicate": 2}


def test_several_answers_to_a_prompt_are_kept_together_with_a_warning(tmp_path: Path) -> None:
    rows = [*pairs(3), {"prompt": "SAY  0", "answer": "zero"}]
    loaded = load(write(tmp_path / "x.jsonl", rows), held_out=2)
    parts = [{row.row for row in part} for part in (loaded.training, loaded.held_out)]
    assert {1, 4} <= parts[0] or {1, 4} <= parts[1]
    (warning,) = loaded.report.warnings
    assert warning.startswith("2 rows share 1 prompt with different demonstrations (rows 1, 4)")


def test_constant_answers_are_warned_of(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "yes"} for i in range(19)]
    path = write(tmp_path / "x.jsonl", [*rows, {"prompt": "q", "answer": "no"}])
    (warning,) = load(path).report.warnings
    assert warning.startswith("19 of 20 demonstrations are the same text ('yes')")


def test_wildly_long_rows_are_warned_of(tmp_path: Path) -> None:
    rows = [*pairs(8), {"prompt": "q", "answer": "y" * 5000}]
    (warning,) = load(write(tmp_path / "x.jsonl", rows)).report.warnings
    assert warning.startswith("1 row (row 9) with over 2,000 characters")


def test_a_column_that_may_belong_to_the_prompt_is_warned_of(tmp_path: Path) -> None:
    rows = [{"question": f"do {i}", "input": "x", "output": f"{i}"} for i in range(3)]
    (warning,) = load(write(tmp_path / "x.jsonl", rows)).report.warnings
    assert warning.startswith('not used: "input"')


def test_a_held_out_file_is_its_own_part(tmp_path: Path) -> None:
    training = write(tmp_path / "x.jsonl", pairs(4))
    apart = write(tmp_path / "h.csv", "question,answer\nother,yes\nnew,no\n")
    loaded = load(training, held_out=apart)
    assert [row.prompt for row in loaded.held_out] == ["other", "new"]
    assert len(loaded.training) == 4
    assert {row.id for row in loaded.held_out} == {"held-out:row-1", "held-out:row-2"}
    assert loaded.split == {
        "by": "file",
        "value": "h.csv",
        "seed": 0,
        "training": 4,
        "held_out": 2,
    }


def test_held_out_prompts_are_taken_from_training_with_a_warning(tmp_path: Path) -> None:
    training = write(tmp_path / "x.jsonl", pairs(4))
    apart = write(tmp_path / "h.jsonl", pairs(3, start=2))
    loaded = load(training, held_out=apart)
    assert [row.prompt for row in loaded.training] == ["say 0", "say 1"]
    assert [row.prompt for row in loaded.held_out] == ["say 2", "say 3", "say 4"]
    assert loaded.report.counts["leak"] == 2
    assert "2 training rows dropped" in loaded.report.warnings[0]


def test_faults_of_a_held_out_file_name_it(tmp_path: Path) -> None:
    training = write(tmp_path / "x.jsonl", pairs(4))
    apart = write(tmp_path / "h.jsonl", [{"prompt": "a", "answer": ""}])
    (problem,) = report_of(training, held_out=apart).problems
    assert problem.problem == 'in h.jsonl: "answer" is empty'
    missing = refusal(training, held_out=tmp_path / "no.jsonl")
    assert str(missing) == "x.jsonl: in no.jsonl: there is no such file; check the path"
    all_leaks = refusal(training, held_out=training)
    assert "every prompt of the file also stands in the held-out file" in str(all_leaks)


def test_the_split_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", pairs(10))
    told = {"seed": 5, "training": 8, "held_out": 2}
    assert load(path, held_out=0.2, seed=5).split == {"by": "share", "value": 0.2, **told}
    assert load(path, held_out=2, seed=5).split == {"by": "count", "value": 2, **told}


def test_the_hash_follows_the_content_and_nothing_else(tmp_path: Path) -> None:
    rows = pairs(6)
    path = write(tmp_path / "x.jsonl", rows)
    known = load(path).content_hash
    spaced = write(tmp_path / "y.jsonl", "\n" + path.read_text().replace("\n", "\n\n"))
    renamed = write(
        tmp_path / "z.jsonl",
        [{"q": r["prompt"], "a": r["answer"], "id": r["answer"]} for r in rows],
    )
    assert load(spaced).content_hash == known
    assert load(renamed, overrides={"prompt": "q", "demonstration": "a"}).content_hash == known
    other_answer = write(tmp_path / "o.jsonl", [{**rows[0], "answer": "other"}, *rows[1:]])
    tagged = write(tmp_path / "t.jsonl", [{**rows[0], "tags": "a"}, *rows[1:]])
    hashes = [
        known,
        load(path, scorer="normalised").content_hash,
        load(path, held_out=2).content_hash,
        load(other_answer).content_hash,
        load(tagged).content_hash,
    ]
    assert len(set(hashes)) == len(hashes)


def test_exported_rows_read_back_as_the_same_demonstrations(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a\n", "answer": "b", "reference": ["x", "y"], "tags": ["p,q"], "id": "one"},
        {"prompt": "é🙂", "answer": " c ", "system": "Be kind.", "reference": "z"},
    ]
    first = load(write(tmp_path / "x.jsonl", rows))
    both = sorted([*first.training, *first.held_out], key=lambda r: r.row)
    second = load(write(tmp_path / "y.jsonl", "".join(to_jsonl(both))))
    assert second.training == first.training
    assert second.held_out == first.held_out
    assert second.content_hash == first.content_hash


def test_a_split_column_parts_the_rows(tmp_path: Path) -> None:
    sides = ["train", "test", "Training", "validation", "train"]
    rows = [{**row, "split": side} for row, side in zip(pairs(5), sides, strict=True)]
    loaded = load(write(tmp_path / "x.jsonl", rows), held_out=None)
    assert [row.row for row in loaded.training] == [1, 3, 5]
    assert [row.row for row in loaded.held_out] == [2, 4]
    assert (loaded.split["by"], loaded.split["value"]) == ("column", "split")
    chosen = load(tmp_path / "x.jsonl", held_out=1)
    assert chosen.split["by"] == "count"
    assert chosen.report.counts == {"unused_split": 5}


def test_prompts_on_both_sides_of_a_split_column_are_held_out(tmp_path: Path) -> None:
    rows = [{**row, "split": "train"} for row in pairs(3)]
    rows.append({"prompt": "SAY 1", "answer": "other", "split": "test"})
    loaded = load(write(tmp_path / "x.jsonl", rows), held_out=None)
    assert [row.row for row in loaded.training] == [1, 3]
    assert loaded.report.counts == {"leak": 1}


def test_without_a_split_of_its_own_a_fifth_is_held_out(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "x.jsonl", pairs(10)), held_out=None)
    told = {"by": "share", "value": 0.2, "seed": 0, "training": 8, "held_out": 2}
    assert loaded.split == told


def test_rows_that_name_their_fields_otherwise_are_told_of(tmp_path: Path) -> None:
    rows = [*pairs(4), {"question": "e", "answer": "f"}, {"question": "g", "answer": "h"}]
    loaded = load(write(tmp_path / "x.jsonl", rows), keep_good=True)
    assert loaded.report.problems[0].remedy == (
        'this row names it "question": give it the same name in all rows'
    )
    assert any(
        text.startswith('2 rows (first: row 5) name the prompt "question", most others "prompt"')
        for text in loaded.report.warnings
    )


def test_characters_that_nobody_sees_are_told_of(tmp_path: Path) -> None:
    rows = [
        *pairs(3),
        {"prompt": "a\x1b[31m", "answer": "b"},
        {"prompt": "c\td", "answer": "\u202e"},
    ]
    (warning,) = load(write(tmp_path / "x.jsonl", rows)).report.warnings
    assert warning.startswith("2 rows (rows 4, 5) with characters that nobody sees, such as U+001B")


def test_an_input_follows_its_instruction(tmp_path: Path) -> None:
    rows = [{"instruction": f"do {i}", "input": "" if i else "x", "output": "y"} for i in range(3)]
    loaded = load(write(tmp_path / "x.jsonl", rows))
    both = sorted([*loaded.training, *loaded.held_out], key=lambda r: r.row)
    assert [row.prompt for row in both] == ["do 0\n\nx", "do 1", "do 2"]


def test_tools_stand_in_the_system_turn(tmp_path: Path) -> None:
    def row(system: list[dict[str, str]], number: int) -> dict[str, object]:
        turns = [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": "a"}]
        return {"messages": [*system, *turns], "tools": [{"name": "f"}]}

    rows = [row([{"role": "system", "content": "Be kind."}], 1), row([], 2)]
    loaded = load(write(tmp_path / "x.jsonl", rows))
    told, plain = sorted([*loaded.training, *loaded.held_out], key=lambda r: r.row)
    assert told.messages[0].content.startswith("Be kind.\n\nYou can call these tools:\n{")
    assert plain.messages[0].role == "system"
    assert [turn.role for turn in plain.messages] == ["system", "user"]


def test_prompts_and_answers_may_be_turns(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, object]:
        asked = [{"role": "system", "content": "s"}, {"role": "user", "content": f"q{number}"}]
        return {"prompt": asked, "completion": [{"role": "assistant", "content": "a"}]}

    loaded = load(write(tmp_path / "x.jsonl", [row(1), row(2)]))
    (first,) = loaded.training
    assert [turn.role for turn in first.messages] == ["system", "user"]
    assert first.demonstration == "a"
    wrong = write(tmp_path / "y.jsonl", [{"prompt": row(1)["completion"], "completion": "x"}])
    assert "has no user turn" in str(refusal(wrong))


def test_a_saved_dataset_with_splits_is_read_with_them(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    dataset = datasets.DatasetDict(
        {
            "train": datasets.Dataset.from_list(pairs(4)),
            "test": datasets.Dataset.from_list(pairs(2, start=10)),
        }
    )
    dataset.save_to_disk(str(folder))
    loaded = load(folder, held_out=None)
    assert loaded.origin["format"] == "dataset"
    assert [row.prompt for row in loaded.training] == ["say 0", "say 1", "say 2", "say 3"]
    assert [row.prompt for row in loaded.held_out] == ["say 10", "say 11"]
