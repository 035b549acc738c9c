"""One of several processes that take steps together; keeps its gradients as a file.

Its arguments: model folder, meeting, number, size, target, and configurations as JSON.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from backend.config import RunConfig
from backend.training.loop import make_trainer
from backend.training.ranks import joined
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import demonstrations, disturb_adapter, gradients_of_step

ROWS = 5


def is_odd(answer, row):
    """A judge that every process could ask alike."""
    return float(len(answer) % 2), "even"


def gradients(folder, config, ranks=None):
    """Loss, its parts and gradients of a step on uneven rows, as one dictionary of tensors."""
    known = {} if ranks is None else {"ranks": ranks}
    trainer = make_trainer(load_tiny(folder), config, None, judge=is_odd, **known)
    # In fp32, rows that are read together are rounded together: by more than the test allows.
    trainer.model.network.double()
    disturb_adapter(trainer.model)
    report, found = gradients_of_step(trainer, demonstrations(ROWS))
    numbers = {
        "loss": torch.tensor([report.loss, report.grad_norm]),
        "divergence": report.compared.divergence_N,
        "hidden": report.student_hidden_NH,
    }
    return numbers | {f"grad.{name}": gradient for name, gradient in found.items()}


def main(folder, meeting, number, size, target, configs):
    torch.set_num_threads(1)
    with joined(int(number), int(size), Path(meeting), "cpu") as ranks:
        for place, document in enumerate(json.loads(configs)):
            found = gradients(Path(folder), RunConfig.model_validate(document), ranks)
            save_file(found, Path(target) / f"{place}-{number}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
