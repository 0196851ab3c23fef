#!/usr/bin/env python3
"""Asks llama.cpp what models need: writes header-only GGUF files and runs llama-fit-params on them.

A GGUF file whose tensor data is a hole of the right length loads with no_alloc: llama.cpp sizes every buffer and
allocates none. So any model at any size is measured in a second on a small machine, and llama.cpp's own allocator is
the oracle for the footprint's `llama.cpp` profile.

    python3 llama_fit_oracle.py PATH/TO/llama-fit-params > ../footprint/llama-fit-params.json

Shapes are [rows, columns] as in Quern (GGUF's own order is reversed). Sizes in the answer are MiB, as the peer prints
them: whole MiB rounded down from -fitp, and two decimals where its log has them.
"""
import json, os, re, struct, subprocess, sys, tempfile

# name: (GGUF id, elements per block, bytes per block)
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144)}


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, list):
        kind = 7 if isinstance(v[0], bool) else 5
        return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(struct.pack("<B" if kind == 7 else "<i", x) for x in v)
    return struct.pack("<I", 8) + text(v)


def tensors_of(model):
    """(name, shape) for every tensor; {layer} is expanded over the given range or all layers."""
    layers = model["hyperparameters"]["block_count"]
    for name, shape, *span in model["tensors"]:
        if "{layer}" not in name:
            yield name, shape
            continue
        first, last = span if span else (0, layers)
        for layer in range(first, last):
            yield name.replace("{layer}", str(layer)), shape


def type_of(name, shape, wanted):
    return "F32" if len(shape) == 1 or "ffn_gate_inp" in name else wanted


def write(path, model, wanted):
    arch = model["architecture"]
    meta = {"general.architecture": arch, "tokenizer.ggml.model": "none"}
    for key, v in model["hyperparameters"].items():
        meta[f"{arch}.{key}"] = v
    infos, offset, count = b"", 0, 0
    for name, shape in tensors_of(model):
        kind = type_of(name, shape, wanted)
        number, elements, size = TYPES[kind]
        total = 1
        for n in shape:
            total *= n
        assert shape[-1] % elements == 0, (name, shape, kind)
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in reversed(shape))
        infos += struct.pack("<IQ", number, offset)
        offset += (total // elements * size + 31) // 32 * 32
        count += 1
    body = b"GGUF" + struct.pack("<IQQ", 3, count, len(meta)) + b"".join(text(k) + value(v) for k, v in meta.items()) + infos
    body += b"\0" * (-len(body) % 32)
    with open(path, "wb") as f:
        f.write(body)
        f.truncate(len(body) + offset)


def decoder(arch, L, h, a, kv, ffn, V, head=None, tied=False, bias=False, qk_norm=False, context=32768, extra=None):
    d = head or h // a
    hp = {
        "block_count": L, "embedding_length": h, "feed_forward_length": ffn, "context_length": context, "vocab_size": V,
        "attention.head_count": a, "attention.head_count_kv": kv, "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.key_length": d, "attention.value_length": d, "rope.dimension_count": d, "rope.freq_base": 10000.0,
    }
    hp.update(extra or {})
    b = "blk.{layer}."
    t = [["token_embd.weight", [V, h]], ["output_norm.weight", [h]]]
    if not tied:
        t.append(["output.weight", [V, h]])
    t += [[b + "attn_norm.weight", [h]], [b + "attn_q.weight", [a * d, h]], [b + "attn_k.weight", [kv * d, h]],
          [b + "attn_v.weight", [kv * d, h]], [b + "attn_output.weight", [h, a * d]], [b + "ffn_norm.weight", [h]]]
    if bias:
        t += [[b + "attn_q.bias", [a * d]], [b + "attn_k.bias", [kv * d]], [b + "attn_v.bias", [kv * d]]]
    if qk_norm:
        t += [[b + "attn_q_norm.weight", [d]], [b + "attn_k_norm.weight", [d]]]
    return {"architecture": arch, "hyperparameters": hp, "tensors": t}


def dense(model, span=None):
    hp = model["hyperparameters"]
    h, f, b = hp["embedding_length"], hp["feed_forward_length"], "blk.{layer}."
    span = span or []
    model["tensors"] += [[b + "ffn_gate.weight", [f, h], *span], [b + "ffn_up.weight", [f, h], *span],
                         [b + "ffn_down.weight", [h, f], *span]]
    return model


def experts(model, count, used, width, span=None, shared=0):
    hp = model["hyperparameters"]
    h, b, span = hp["embedding_length"], "blk.{layer}.", span or []
    hp["expert_count"], hp["expert_used_count"] = count, used
    if model["architecture"] != "llama":
        hp["expert_feed_forward_length"] = width
    model["tensors"] += [
        [b + "ffn_gate_inp.weight", [count, h], *span], [b + "ffn_gate_exps.weight", [count, width, h], *span],
        [b + "ffn_up_exps.weight", [count, width, h], *span], [b + "ffn_down_exps.weight", [count, h, width], *span]]
    if shared:
        hp["expert_shared_count"] = shared
        s = width * shared
        model["tensors"] += [[b + "ffn_gate_shexp.weight", [s, h], *span], [b + "ffn_up_shexp.weight", [s, h], *span],
                             [b + "ffn_down_shexp.weight", [h, s], *span]]
    return model


def gemma3(L, h, a, kv, head, ffn, V, window):
    m = dense(decoder("gemma3", L, h, a, kv, ffn, V, head=head, tied=True, qk_norm=True,
                      extra={"attention.sliding_window": window}))
    # Not in the file: llama.cpp knows it for the architecture, Quern's descriptor states it.
    m["implied"] = {"attention.sliding_window_pattern": 6}
    b = "blk.{layer}."
    m["tensors"] += [[b + "post_attention_norm.weight", [h]], [b + "post_ffw_norm.weight", [h]]]
    return m


def chatglm(L, h, a, kv, ffn, V):
    d = h // a
    m = decoder("chatglm", L, h, a, kv, ffn, V, extra={"rope.dimension_count": d // 2})
    b = "blk.{layer}."
    m["tensors"] = [x for x in m["tensors"] if not re.search(r"attn_[qkv]\.", x[0])]
    m["tensors"] += [[b + "attn_qkv.weight", [(a + 2 * kv) * d, h]], [b + "attn_qkv.bias", [(a + 2 * kv) * d]],
                     [b + "ffn_up.weight", [2 * ffn, h]], [b + "ffn_down.weight", [h, ffn]]]
    return m


def deepseek2(L, h, a, ffn, V, q_rank, kv_rank, nope, rope, vhead, dense_lead, count, used, width, shared):
    hp = {
        "block_count": L, "embedding_length": h, "feed_forward_length": ffn, "context_length": 163840, "vocab_size": V,
        "attention.head_count": a, "attention.head_count_kv": 1, "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.kv_lora_rank": kv_rank, "attention.key_length": kv_rank + rope, "attention.value_length": kv_rank,
        "attention.key_length_mla": nope + rope, "attention.value_length_mla": vhead, "rope.dimension_count": rope,
        "rope.freq_base": 10000.0, "leading_dense_block_count": dense_lead, "expert_weights_scale": 2.5,
    }
    b = "blk.{layer}."
    t = [["token_embd.weight", [V, h]], ["output_norm.weight", [h]], ["output.weight", [V, h]],
         [b + "attn_norm.weight", [h]], [b + "ffn_norm.weight", [h]], [b + "attn_kv_a_norm.weight", [kv_rank]],
         [b + "attn_kv_a_mqa.weight", [kv_rank + rope, h]], [b + "attn_k_b.weight", [a, kv_rank, nope]],
         [b + "attn_v_b.weight", [a, vhead, kv_rank]], [b + "attn_output.weight", [h, a * vhead]]]
    if q_rank:
        hp["attention.q_lora_rank"] = q_rank
        t += [[b + "attn_q_a.weight", [q_rank, h]], [b + "attn_q_a_norm.weight", [q_rank]],
              [b + "attn_q_b.weight", [a * (nope + rope), q_rank]]]
    else:
        t += [[b + "attn_q.weight", [a * (nope + rope), h]]]
    m = {"architecture": "deepseek2", "hyperparameters": hp, "tensors": t}
    dense(m, [0, dense_lead])
    return experts(m, count, used, width, [dense_lead, L], shared)


MODELS = {
    "smollm2-135m": dense(decoder("llama", 30, 576, 9, 3, 1536, 49152, tied=True)),
    "llama-2-7b": dense(decoder("llama", 32, 4096, 32, 32, 11008, 32000)),
    "llama-2-70b": dense(decoder("llama", 80, 8192, 64, 8, 28672, 32000)),
    "llama-3.1-8b": dense(decoder("llama", 32, 4096, 32, 8, 14336, 128256, context=131072)),
    "llama-3.2-1b": dense(decoder("llama", 16, 2048, 32, 8, 8192, 128256, tied=True, context=131072)),
    "mixtral-8x7b": experts(decoder("llama", 32, 4096, 32, 8, 14336, 32000), 8, 2, 14336),
    "qwen2.5-0.5b": dense(decoder("qwen2", 24, 896, 14, 2, 4864, 151936, tied=True, bias=True)),
    "qwen2.5-7b": dense(decoder("qwen2", 28, 3584, 28, 4, 18944, 152064, bias=True)),
    "qwen2.5-32b": dense(decoder("qwen2", 64, 5120, 40, 8, 27648, 152064, bias=True)),
    "qwen3-0.6b": dense(decoder("qwen3", 28, 1024, 16, 8, 3072, 151936, head=128, tied=True, qk_norm=True)),
    "qwen3-8b": dense(decoder("qwen3", 36, 4096, 32, 8, 12288, 151936, head=128, qk_norm=True)),
    "qwen3-30b-a3b": experts(decoder("qwen3moe", 48, 2048, 32, 4, 6144, 151936, head=128, qk_norm=True), 128, 8, 768),
    "gemma-3-1b": gemma3(26, 1152, 4, 1, 256, 6912, 262144, 512),
    "gemma-3-4b": gemma3(34, 2560, 8, 4, 256, 10240, 262208, 1024),
    "gemma-3-12b": gemma3(48, 3840, 16, 8, 256, 15360, 262208, 1024),
    "chatglm2-6b": chatglm(28, 4096, 32, 2, 13696, 65024),
    "glm-4-9b": chatglm(40, 4096, 32, 2, 13696, 151552),
    "deepseek-v2-lite": deepseek2(27, 2048, 16, 10944, 102400, 0, 512, 128, 64, 128, 1, 64, 6, 1408, 2),
    "deepseek-v3": deepseek2(61, 7168, 128, 18432, 129280, 1536, 512, 128, 64, 128, 3, 256, 8, 2048, 1),
}

# type, context, micro-batch, flash attention, KV type, parallel sequences
BASE = dict(type="F16", context=4096, microBatch=512, flashAttention=True, kv="F16", sequences=1)
VARIATIONS = [
    {}, {"context": 2048, "type": "Q8_0"}, {"context": 32768, "kv": "Q8_0", "type": "Q4_0"}, {"flashAttention": False},
    {"context": 16384, "flashAttention": False}, {"microBatch": 128, "context": 8192}, {"microBatch": 2048},
    {"context": 32768, "microBatch": 64}, {"context": 8192, "sequences": 4}, {"kv": "F32"}, {"kv": "Q4_0", "context": 8192},
    {"context": 1000},
]


def ask(program, path, row):
    command = [program, "-m", path, "-fitp", "on", "-nr", "-ngl", "0", "-c", str(row["context"]),
               "-ub", str(row["microBatch"]), "-fa", "on" if row["flashAttention"] else "off",
               "-ctk", row["kv"].lower(), "-ctv", row["kv"].lower() if row["flashAttention"] else "f16",
               "-np", str(row["sequences"]), "-b", "2048", "-lv", "5"]
    done = subprocess.run(command, capture_output=True, text=True)
    log = done.stdout + done.stderr
    line = re.search(r"^Host (\d+) (\d+) (\d+)", done.stdout, re.M)
    if not line:
        sys.exit(f"{' '.join(command)}\n{log[-3000:]}")
    answer = dict(zip(("modelMiB", "contextMiB", "computeMiB"), map(int, line.groups())))
    # The log has two decimals for what the line above rounds down.
    exact = re.search(r"compute buffer size = *([0-9.]+) MiB", log)
    if exact:
        answer["computeMiB"] = float(exact.group(1))
    return answer, log


def main():
    program = sys.argv[1]
    only = sys.argv[2:]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in MODELS.items():
            if only and name not in only:
                continue
            for kind in ("F16", "Q8_0", "Q4_0"):
                path = os.path.join(folder, f"{name}-{kind}.gguf")
                write(path, model, kind)
                for change in VARIATIONS:
                    row = {**BASE, **change}
                    if row["type"] != kind:
                        continue
                    answer, log = ask(program, path, row)
                    rows.append({"model": name, **row, **answer})
                    print(name, change, answer, file=sys.stderr)
                    if os.environ.get("ORACLE_LOG"):
                        print(log, file=sys.stderr)
                os.unlink(path)
    names = {row["model"] for row in rows}
    out = ["{", '"models": {']
    kept = [n for n in MODELS if n in names]
    out += [f'{json.dumps(n)}: {json.dumps(MODELS[n])}' + ("," if n != kept[-1] else "") for n in kept]
    out += ["},", '"rows": [']
    out += [json.dumps(r) + ("," if r is not rows[-1] else "") for r in rows]
    out += ["]", "}"]
    print("\n".join(out))


if __name__ == "__main__":
    main()
