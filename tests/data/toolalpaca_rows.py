"""Rows in the shape of ToolAlpaca's evaluation set, made up."""

from __future__ import annotations

from typing import Any


def api(name: str, requests: int) -> dict[str, Any]:
    """An API with requests and the calls that they need."""
    return {
        "Name": name,
        "Category": "Made up",
        "Functions": "",
        "NLDocumentation": f'get{name}: {name} does this.\nParameters: {{"n": "integer"}}',
        "Instructions": [f"do {i} with {name}" for i in range(1, requests + 1)],
        "Golden_Answers": [
            [{"Action": f"get{name}", "Action_Input": f'{{"n": {i}}}'}]
            for i in range(1, requests + 1)
        ],
    }
