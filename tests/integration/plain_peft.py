"""Loads an adapter on its base with torch, transformers and peft alone, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

# Run by itself, outside of the repository; nothing in it knows the lab.
PROGRAM = """
import sys
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter, text, target = sys.argv[1:]
torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
with torch.no_grad():
    plain = model(**inputs).logits[0].clone()
    adapted = PeftModel.from_pretrained(model, adapter).eval()(**inputs).logits[0]
ours = {name.split(".")[0] for name in sys.modules} & {"app", "backend", "sdlab", "storage"}
assert not ours, ours
save_file({"plain": plain, "adapted": adapted.contiguous(), "ids": inputs["input_ids"]}, target)
"""


def plain_logits(base: Path, adapter: Path, text: str, scratch: Path) -> dict[str, torch.Tensor]:
    """Logits [L, V] of ``text``: ``plain`` of the base and ``adapted``, and the token ``ids``."""
    target = scratch / "logits.safetensors"
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(base), str(adapter), text, str(target)],
        cwd=scratch,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_file(target)
