"""A loaded base model with its adapter: hidden states, logits, and which weights are in place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from peft import PeftModel
from torch import Tensor, nn

from backend.config import AdapterConfig
from backend.errors import Fault, ModelError
from backend.models.all_weights import AllWeights
from backend.models.compute import Compute
from backend.models.flat import FlatNetwork
from backend.models.flat import serves as reads_flat
from backend.models.fused import FusedReader
from backend.models.llama import is_llama
from backend.models.lora import LoraAdapter
from backend.models.products import use_products
from backend.models.reading import reading
from backend.models.trained import Trained
from backend.text.tokenizer import TextTokenizer

log = logging.getLogger(__name__)

# What a model's digest is of: its text files, and so many of each tensor's first bytes.
_TEXT_FILES: Final = frozenset({".json", ".jinja", ".model", ".txt"})
_DIGEST_BYTES: Final = 4096


@dataclass(frozen=True)
class OutputHead:
    """From final hidden states to logits, with what some families do to them afterwards."""

    layer: nn.Module
    scale: float
    softcap: float | None

    @property
    def is_trained(self) -> bool:
        """Whether its own weights ask for a gradient, as all do where all are trained."""
        return any(parameter.requires_grad for parameter in self.layer.parameters())

    def __call__(self, hidden_NH: Tensor) -> Tensor:
        """Logits [N, V] in fp32."""
        # Under CUDA's autocast a LayerNorm gives fp32, whatever the weights are.
        hidden_NH = hidden_NH.to(next(self.layer.parameters()).dtype)
        logits_NV: Tensor = self.layer(hidden_NH).float() * self.scale
        if self.softcap:
            logits_NV = torch.tanh(logits_NV / self.softcap) * self.softcap
        return logits_NV


class LanguageModel:
    """The network that is student and teacher at once, and what it needs to read and write.

    What is trained of it, :meth:`add_adapter` says: a LoRA adapter (``network`` is then a PEFT
    model, whose base student and teacher share), or all weights.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        tokenizer: TextTokenizer,
        compute: Compute,
        digest: str,
        *,
        is_four_bit: bool = False,
    ) -> None:
        self.name = name
        self.network = network
        self.tokenizer = tokenizer
        self.compute = compute
        self.digest = digest
        self._is_four_bit = is_four_bit
        self.head = _find_head(network)
        self._trained: Trained | None = None
        self._flat: FlatNetwork | None = None

    @property
    def has_adapter(self) -> bool:
        return isinstance(self.network, PeftModel)

    @property
    def _causal(self) -> Any:
        """The transformers model, as it is without PEFT around it."""
        return self.network.get_base_model() if self.has_adapter else self.network

    @property
    def context_length(self) -> int:
        """Tokens that the model can read, prompt and completion together."""
        return self.tokenizer.context_length

    def backbone(self, **inputs: Any) -> Any:
        """The network without its head: ``last_hidden_state`` [B, L, H], and the cache if asked."""
        with self.compute.autocast():
            return self._causal.base_model(**inputs)

    def add_adapter(self, config: AdapterConfig, seed: int) -> None:
        """Makes the model trainable as ``config`` says: a fresh LoRA adapter, or all weights.

        The logits do not change, but for rounding under DoRA. Raises ModelError where the adapter
        does not fit.
        """
        if config.full:
            self._trained = AllWeights(self.network)
        else:
            self._trained = LoraAdapter(self.network, config, self.name, seed)
        self.network = self._trained.network
        self._flat = None

    @property
    def trained(self) -> Trained:
        """What :meth:`add_adapter` made; asked for before that, it is a fault of ours."""
        if self._trained is None:
            raise Fault("nothing of this model is trained", where=self.name)
        return self._trained

    def flat(self) -> FlatNetwork | None:
        """The backbone as it reads flat tokens; None where it cannot, or reads merged weights."""
        backbone = self._causal.base_model
        if (self._flat is None or not self._flat.is_current) and reads_flat(backbone):
            self._flat = FlatNetwork(backbone)
        is_merged = "forward" in backbone.__dict__
        return self._flat if self._flat and self._flat.is_served and not is_merged else None

    def reader(self) -> FusedReader | None:
        """What reads in the backbone's place inside of :meth:`merged`, if it can."""
        found = self._causal.base_model.__dict__.get("forward")
        return found if isinstance(found, FusedReader) else None

    def adapter_parameters(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name."""
        return self._trained.parameters() if self._trained else {}

    def merged(self, *, head: bool = True) -> contextlib.AbstractContextManager[None]:
        """The weights that are in place, faster to read with, while the block only reads.

        Without ``head``, logits are made as before.
        Nothing changes in half precision or four bits: such base weights are too coarse to hold
        what an adapter adds.
        """
        is_exact = self.compute.dtype == torch.float32 and not self._is_four_bit
        return reading(self._causal, head=head) if is_exact else contextlib.nullcontext()

    def base_weights(self) -> contextlib.AbstractContextManager[None]:
        """The original model, without anything trained, while the block runs."""
        return self._trained.base() if self._trained else contextlib.nullcontext()


def load_model(
    name: str, folder: Path, compute: Compute, *, four_bit: bool = False
) -> LanguageModel:
    """The base model in ``folder`` on the device, in evaluation mode. Raises ModelError.

    ``four_bit`` holds its linear layers, but not the output layer, in bitsandbytes' NF4.
    """
    tokenizer = TextTokenizer(folder)
    try:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=compute.dtype,
            local_files_only=True,
            **(_four_bit(compute) if four_bit else {}),
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(
            f"cannot load {name} from {folder} ({error})",
            where="model",
            remedy="give a causal language model written by save_pretrained",
        ) from error
    # What bitsandbytes holds is on its device already, and may not be moved.
    network = network if four_bit else network.to(compute.device)
    network.eval().requires_grad_(False)
    use_products(network)
    if not is_llama(network.base_model):
        log.info("%s is read by transformers' own layers: its answers take longer", name)
    digest = weights_digest(folder) + ("-4bit" if four_bit else "")
    model = LanguageModel(name, network, tokenizer, compute, digest, is_four_bit=four_bit)
    _check_head(model)
    return model


def _four_bit(compute: Compute) -> dict[str, Any]:
    """As QLoRA has it (arXiv 2305.14314): NF4, with the scales quantized once more."""
    config = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute.dtype,
    )
    return {"quantization_config": config, "device_map": {"": compute.device}}


def weights_digest(folder: Path) -> str:
    """Tells two models apart without reading all: headers, and the first bytes of every tensor.

    (A merged adapter changes nothing but some layers, and those throughout.) Tokenizer, template
    and end tokens are part of the model: they decide what it reads and writes.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _TEXT_FILES):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as handle:
            header = handle.read(int.from_bytes(handle.read(8), "little"))
            digest.update(path.name.encode() + header)
            for name, tensor in json.loads(header).items():
                if name != "__metadata__":
                    start, end = tensor["data_offsets"]
                    handle.seek(8 + len(header) + start)
                    digest.update(handle.read(min(end - start, _DIGEST_BYTES)))
    return digest.hexdigest()


def _find_head(network: Any) -> OutputHead:
    config = network.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    scale /= float(getattr(config, "logits_scaling", None) or 1.0)
    softcap = getattr(config, "final_logit_softcapping", None)
    return OutputHead(network.get_output_embeddings(), scale, softcap)


@torch.no_grad()
def _check_head(model: LanguageModel) -> None:
    ids = torch.arange(1, 5, device=model.compute.device)[None]
    hidden = model.backbone(input_ids=ids).last_hidden_state
    with model.compute.autocast():
        ours, theirs = model.head(hidden[0]), model.network(input_ids=ids).logits[0].float()
    tolerance = 1e-3 if model.compute.dtype == torch.float32 else 0.1
    if not torch.allclose(ours, theirs, atol=tolerance, rtol=tolerance):
        raise ModelError(
            f"{model.name} changes its logits after the head in a way that the lab does not know",
            where="model",
            remedy="choose another base model, and report this one",
        )
