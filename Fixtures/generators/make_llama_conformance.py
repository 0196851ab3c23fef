"""Writes the llama-* conformance cases that Fixtures/conformance has beside the three it was given, and rope/rotary.json.

    python make_llama_conformance.py        (torch 2, transformers 5, safetensors)

A case is a small random model as config.json and model.safetensors, and golden.safetensors: input_ids [2, 24] with the
logits that transformers computes in F32 from the stored weights. rope/rotary.json holds inverse frequencies and
attention factors of Llama's rotary embedding for many configurations.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL = dict(
    vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0)

# Name, configuration class, what differs from SMALL, dtype of the file, whether config.json uses the keys of releases
# before rope_parameters.
CASES = [
    ("llama-yarn-biases", LlamaConfig, dict(
        head_dim=24, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
        rope_parameters=dict(
            rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, beta_fast=8.0,
            beta_slow=0.5)), torch.float16, False),
    ("llama-linear-tied", LlamaConfig, dict(
        head_dim=32, tie_word_embeddings=True, num_key_value_heads=1,
        rope_parameters=dict(rope_type="linear", rope_theta=500000.0, factor=2.5)), torch.bfloat16, True),
    ("mistral-window-headdim", MistralConfig, dict(
        head_dim=8, sliding_window=5, tie_word_embeddings=False, num_key_value_heads=4,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0)), torch.float32, True),
]

ROTARY = [
    dict(rope_type="default", rope_theta=10000.0),
    dict(rope_type="default", rope_theta=500000.0),
    dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
    dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
         original_max_position_embeddings=8192),
    dict(rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
         original_max_position_embeddings=8192),
    dict(rope_type="yarn", rope_theta=10000.0, factor=16.0, original_max_position_embeddings=4096),
    dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=32768),
    dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, original_max_position_embeddings=2048, beta_fast=16.0,
         beta_slow=2.0),
    dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, original_max_position_embeddings=2048, attention_factor=1.25),
]


def plain(config, old_keys, dtype):
    """config.json as published: old releases kept rope_theta and rope_scaling apart."""
    values = json.loads(config.to_json_string(use_diff=False))
    values = {key: value for key, value in values.items() if value is not None and not key.startswith("_")}
    keep = set(SMALL) | {
        "architectures", "model_type", "head_dim", "attention_bias", "mlp_bias", "tie_word_embeddings", "sliding_window",
        "rope_parameters", "hidden_act", "rms_norm_eps"}
    values = {key: value for key, value in values.items() if key in keep}
    name = str(dtype).removeprefix("torch.")
    if old_keys:
        rope = values.pop("rope_parameters")
        values["rope_theta"] = rope.pop("rope_theta")
        kind = rope.pop("rope_type")
        values["rope_scaling"] = None if kind == "default" else {"type": kind, **rope}
        values["torch_dtype"] = name
    else:
        values["dtype"] = name
    return dict(sorted(values.items()))


def case(name, kind, changes, dtype, old_keys):
    torch.manual_seed(sum(map(ord, name)))
    config = kind(**{**SMALL, **changes}, attn_implementation="eager")
    model = (LlamaForCausalLM if kind is LlamaConfig else MistralForCausalLM)(config).float().eval()
    config.architectures = [type(model).__name__]
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in parameter_name else 0.0
            spread = 0.2 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
            parameter.copy_((centre + spread * torch.randn_like(parameter)).to(dtype).float())
    ids = torch.randint(3, config.vocab_size, (2, 24))
    with torch.no_grad():
        logits = model(ids).logits
    folder = ROOT / "conformance" / name
    folder.mkdir(parents=True, exist_ok=True)
    tied = config.tie_word_embeddings
    tensors = {
        key: value.to(dtype).contiguous() for key, value in model.state_dict().items()
        if not (tied and key == "lm_head.weight")}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    save_file({"input_ids": ids, "logits": logits.contiguous()}, folder / "golden.safetensors")
    (folder / "config.json").write_text(json.dumps(plain(config, old_keys, dtype), indent=2) + "\n")


def rotary():
    rows = []
    for head_dim in (64, 128):
        for parameters in ROTARY:
            config = LlamaConfig(
                hidden_size=head_dim * 4, num_attention_heads=4, head_dim=head_dim, max_position_embeddings=8192,
                rope_parameters=dict(parameters))
            embedding = LlamaRotaryEmbedding(config)
            rows.append({
                "head_dim": head_dim, "rope_parameters": parameters,
                "inv_freq": [float(value) for value in embedding.inv_freq.double()],
                "attention_factor": float(embedding.attention_scaling)})
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    (ROOT / "rope").mkdir(exist_ok=True)
    (ROOT / "rope" / "rotary.json").write_text(text)


for row in CASES:
    case(*row)
rotary()
