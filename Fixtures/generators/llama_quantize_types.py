"""Which type llama-quantize chooses for each tensor: Fixtures/recipes/llama-quantize.json.

    python llama_quantize_types.py LLAMA_QUANTIZE

Asks `llama-quantize --dry-run` about files that hold shapes and no data, with and without an imatrix. Needs the gguf and
numpy packages. In the output a model's tensors are in the order of the answers: one letter of `types` per tensor.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import numpy

RECIPES = [
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S",
    "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M", "IQ2_XXS",
    "IQ2_XS", "IQ2_S", "IQ2_M", "TQ1_0", "TQ2_0", "Q2_0", "MXFP4_MOE",
]


def model(arch, layers, width, hidden, heads, kv_heads, tied=False, experts=0, fused=False, extra=None, more=None):
    """Shapes as [rows, columns]; vocabulary and rows are small where nothing depends on them."""
    head = 32
    tensors = [("token_embd.weight", [96, width])]
    if arch == "bert":
        tensors += [("position_embd.weight", [64, width]), ("token_types.weight", [2, width]),
                    ("token_embd_norm.weight", [width]), ("token_embd_norm.bias", [width])]
    elif not tied:
        tensors.append(("output.weight", [96, width]))
    if arch != "bert":
        tensors.append(("output_norm.weight", [width]))
    for layer in range(layers):
        block = [("attn_norm.weight" if arch != "bert" else "attn_output_norm.weight", [width]), ("ffn_norm.weight", [width])]
        if fused:
            block.append(("attn_qkv.weight", [(heads + 2 * kv_heads) * head, width]))
        elif arch != "deepseek2":
            block += [("attn_q.weight", [heads * head, width]), ("attn_k.weight", [kv_heads * head, width]),
                      ("attn_v.weight", [kv_heads * head, width])]
        block.append(("attn_output.weight", [width, heads * head]))
        if arch in ("qwen3", "qwen3moe"):
            block += [("attn_q_norm.weight", [head]), ("attn_k_norm.weight", [head])]
        if arch in ("bert", "qwen2"):
            block += [("attn_q.bias", [heads * head]), ("ffn_up.bias", [hidden])][: 2 if arch == "bert" else 1]
        if arch == "deepseek2":
            block += [("attn_q.weight", [heads * 96, width]), ("attn_kv_a_mqa.weight", [256 + 32, width]),
                      ("attn_kv_a_norm.weight", [256]), ("attn_kv_b.weight", [heads * 128, 256])]
        dense = arch == "deepseek2" and layer < 1
        if experts and not dense:
            block += [("ffn_gate_inp.weight", [experts, width]), ("ffn_gate_exps.weight", [experts, hidden, width]),
                      ("ffn_up_exps.weight", [experts, hidden, width]), ("ffn_down_exps.weight", [experts, width, hidden])]
            if arch == "deepseek2":
                block += [("ffn_gate_shexp.weight", [hidden, width]), ("ffn_up_shexp.weight", [hidden, width]),
                          ("ffn_down_shexp.weight", [width, hidden])]
        else:
            gate = [] if arch == "bert" or fused else [("ffn_gate.weight", [hidden, width])]
            block += gate + [("ffn_up.weight", [hidden * (2 if fused else 1), width]), ("ffn_down.weight", [width, hidden])]
        tensors += [(f"blk.{layer}.{name}", shape) for name, shape in block]
    keys = {
        "context_length": 128, "embedding_length": width, "block_count": layers, "feed_forward_length": hidden,
        "attention.head_count": heads, "attention.head_count_kv": kv_heads, "vocab_size": 96,
        "attention.key_length": head, "attention.value_length": head,
    }
    keys["attention.layer_norm_epsilon" if arch == "bert" else "attention.layer_norm_rms_epsilon"] = 1e-5
    if arch == "bert":
        keys |= {"attention.causal": False}
    if experts:
        keys |= {"expert_count": experts, "expert_used_count": 2, "expert_feed_forward_length": hidden}
    if arch in ("llama", "phi3"):
        keys["rope.dimension_count"] = head
    return {"arch": arch, "keys": keys | (extra or {}), "tensors": tensors}


DEEPSEEK = {
    "leading_dense_block_count": 1, "expert_shared_count": 1, "attention.kv_lora_rank": 256, "attention.q_lora_rank": 0,
    "rope.dimension_count": 32, "attention.key_length": 96, "attention.value_length": 64, "expert_weights_scale": 1.0,
}
MODELS = {
    "llama, 32 layers": model("llama", 32, 256, 512, 8, 8),
    "llama, 30 layers, tied, width 576": model("llama", 30, 576, 1536, 9, 3, tied=True),
    "llama, 10 layers, tied, 4 queries a key": model("llama", 10, 512, 1280, 16, 4, tied=True),
    "llama, odd widths": model("llama", 4, 320, 880, 8, 4),
    "llama, width of no block": model("llama", 2, 80, 256, 4, 4, tied=True),
    "llama, 80 layers, 8 queries a key": model("llama", 80, 256, 256, 8, 1),
    "llama, 80 layers, 2 queries a key": model("llama", 80, 256, 256, 8, 4),
    "llama, 8 experts": model("llama", 16, 256, 512, 8, 2, experts=8),
    "llama, 4 experts": model("llama", 12, 256, 512, 8, 8, experts=4),
    "qwen3moe, 16 experts": model("qwen3moe", 12, 256, 512, 8, 1, experts=16),
    "phi3, fused": model("phi3", 16, 256, 512, 8, 8, fused=True),
    "bert": model("bert", 12, 384, 1536, 12, 12),
    "deepseek2": model("deepseek2", 10, 256, 512, 8, 8, experts=16, extra=DEEPSEEK),
}


def write(path, description):
    writer = gguf.GGUFWriter(path, description["arch"])
    for key, value in description["keys"].items():
        key = f"{description['arch']}.{key}"
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    writer.add_string("tokenizer.ggml.model", "no_vocab")
    size = 0
    for name, shape in description["tensors"]:
        plain = len(shape) == 1 or "ffn_gate_inp" in name
        dtype = numpy.float32 if plain else numpy.float16
        count = int(numpy.prod(shape)) * (4 if plain else 2)
        writer.add_tensor_info(name, shape, numpy.dtype(dtype), count)
        size += (count + 31) // 32 * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    header = os.path.getsize(path)
    os.truncate(path, (header + 31) // 32 * 32 + size)


def write_imatrix(path):
    """An entry for a tensor that no model has: llama-quantize then knows that there is an imatrix."""
    writer = gguf.GGUFWriter(path, "none")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["none"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 128)
    writer.add_tensor("none.in_sum2", numpy.ones((1, 32), numpy.float32))
    writer.add_tensor("none.counts", numpy.ones((1, 1), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


LINE = re.compile(r"^\[ *\d+/ *\d+\] +(\S+) +- \[.*\], type = +(\S+), size = .*?(?:\((\S+)\))?$")


def answers(program, *arguments):
    result = subprocess.run([program, *arguments], capture_output=True, text=True)
    found = {}
    for text in (result.stdout + result.stderr).replace("\r", "").split("\n"):
        # a warning about a fallback may stand before the line's own text
        match = LINE.match(text.strip())
        if match:
            found[match[1]] = (match[3] or match[2]).upper()
    if result.returncode != 0 or not found:
        sys.exit(f"{arguments}: {result.stdout[-1500:]}{result.stderr[-1500:]}")
    return found


def main():
    program = sys.argv[1]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    types, models = [], []
    with tempfile.TemporaryDirectory() as work:
        imatrix = f"{work}/imatrix.gguf"
        write_imatrix(imatrix)
        for name, description in MODELS.items():
            path = f"{work}/model.gguf"
            write(path, description)
            rows = []
            for recipe in RECIPES:
                row = {"recipe": recipe}
                for key, options in [("plain", []), ("imatrix", ["--imatrix", imatrix])]:
                    found = answers(program, "--dry-run", *options, path, f"{work}/out.gguf", recipe, "1")
                    missing = [tensor for tensor, _ in description["tensors"] if tensor not in found]
                    if missing:
                        sys.exit(f"{name}, {recipe}: no answer about {missing}")
                    for type in found.values():
                        if type not in types:
                            types.append(type)
                    row[key] = "".join(letters[types.index(found[tensor])] for tensor, _ in description["tensors"])
                if row["plain"] == row["imatrix"]:
                    del row["imatrix"]
                rows.append(row)
            models.append({
                "name": name, "architecture": description["arch"], "hyperparameters": description["keys"],
                "tensors": [[tensor, shape] for tensor, shape in description["tensors"]], "answers": rows,
            })
            print(name, len(rows), file=sys.stderr)
    folder = pathlib.Path(__file__).resolve().parent.parent / "recipes"
    folder.mkdir(exist_ok=True)
    head = {"types": dict(zip(letters, types))}
    lines = [json.dumps(head)[:-1] + ', "models": [']
    for position, entry in enumerate(models):
        rows = entry.pop("answers")
        lines.append(json.dumps(entry, separators=(",", ":"))[:-1] + ',"answers":[')
        lines.append(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        lines.append("]}" + ("," if position + 1 < len(models) else ""))
    (folder / "llama-quantize.json").write_text("\n".join(lines) + "\n]}\n")


main()
