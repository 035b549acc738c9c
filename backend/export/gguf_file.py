"""The student as one GGUF file, for llama.cpp and its relatives: llama architectures, in fp16."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import numpy.typing as npt
from torch import Tensor

from backend.atomic import file_sha256, new_file
from backend.errors import ModelError
from backend.export.adapter import Exported
from backend.export.gguf_tokenizer import add_tokenizer, read_vocabulary, unsupported
from backend.models.language_model import LanguageModel

_ARCHITECTURE: Final = "llama"
_WHOLE: Final = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_IN_LAYER: Final = {
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
}


def write_gguf(model: LanguageModel, name: str, target: Path) -> Exported:
    """Writes the student as the file ``target``, in place of what is there.

    Matrices are fp16, norms fp32. The model cannot be trained afterwards. Raises ModelError for an
    architecture or a tokenizer that this version cannot write.
    """
    network = model.trained.plain()
    config = network.config
    check_architecture(config)
    vocabulary = read_vocabulary(model.tokenizer.folder, config.vocab_size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as partial:
        writer = gguf.GGUFWriter(partial, _ARCHITECTURE)
        _add_settings(writer, config, name)
        add_tokenizer(writer, vocabulary, model.tokenizer)
        for tensor_name, values in _tensors(network, config):
            writer.add_tensor(tensor_name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return Exported(target, file_sha256(target), target.stat().st_size)


def check_architecture(config: Any) -> None:
    """Raises ModelError for what is no plain llama."""
    rope = getattr(config, "rope_parameters", None) or {}
    problem = ""
    if config.model_type != _ARCHITECTURE:
        problem = f"the model is of type {config.model_type}"
    elif rope.get("rope_type", "default") != "default":
        problem = f"the model scales its positions ({rope['rope_type']})"
    elif config.attention_bias or config.mlp_bias:
        problem = "the model's layers have biases"
    elif config.hidden_act != "silu":
        problem = f"the model's activation is {config.hidden_act}"
    if problem:
        raise _no_plain_llama(problem)


def _no_plain_llama(problem: str) -> ModelError:
    return unsupported(f"{problem}, and GGUF files are written for plain llama models only")


def _add_settings(writer: gguf.GGUFWriter, config: Any, name: str) -> None:
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(rope.get("rope_theta", 10_000.0))


def _tensors(network: Any, config: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Every weight under its GGUF name; a tied output layer is left out, as llama.cpp has it."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, parameter in network.named_parameters():
        if name in _WHOLE:
            yield _WHOLE[name], _values(parameter)
            continue
        layer, _, inner = name.removeprefix("model.layers.").partition(".")
        if inner not in _IN_LAYER:
            raise _no_plain_llama(f"the model has a weight {name}")
        values = _values(parameter)
        for part, count in heads.items():
            if part in inner:
                values = _interleaved(values, count)
        yield f"blk.{layer}.{_IN_LAYER[inner]}", values


def _values(parameter: Tensor) -> npt.NDArray[Any]:
    kind = np.float16 if parameter.ndim > 1 else np.float32
    return parameter.detach().float().cpu().numpy().astype(kind)


def _interleaved(rows: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """Each head's rows as llama.cpp turns them: pairs side by side, not half a head apart."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
