"""What a column can hold, and the names that files usually give to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Target = Literal[
    "prompt",
    "input",
    "demonstration",
    "messages",
    "reference",
    "tags",
    "id",
    "system",
    "tools",
    "split",
    "group",
]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)
TEXT_TARGETS: Final[tuple[Target, ...]] = ("messages", "prompt", "input", "demonstration", "system")
PRIVILEGED: Final = "privileged_context"

# Best first.
NAMES: Final[Mapping[Target, tuple[str, ...]]] = {
    "messages": ("messages", "conversation", "conversations", "chat", "dialog"),
    "prompt": (
        *("prompt", "question", "instruction", "input", "query", "request", "problem", "user"),
        *("frage", "anweisung", "eingabe", "pregunta", "instrucción", "domanda", "pergunta"),
        *("问题", "指令", "质问", "質問", "вопрос"),
    ),
    # Only beside an instruction, see guess_mapping.
    "input": (),
    "demonstration": (
        *("demonstration", PRIVILEGED, "completion", "response", "answer", "output"),
        *("golden_response", "reply", "solution", "target", "assistant"),
        *("antwort", "ausgabe", "respuesta", "réponse", "risposta", "resposta"),
        *("回答", "答案", "输出", "ответ"),
    ),
    "system": ("system", "system_prompt", "system_message"),
    "reference": ("reference", "references", "expected", "gold", "ground_truth", "label"),
    "tags": ("tags", "tag", "category", "topic"),
    "id": ("id", "uid", "example_id", "row_id"),
    "tools": ("tools", "functions"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "group_id", "api", "api_name"),
}


def plain(name: str) -> str:
    """A column's name without what writers vary: case, spaces, dashes."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
