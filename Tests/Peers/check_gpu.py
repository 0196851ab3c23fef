"""Loads what `quern quantize` writes for GPU libraries with transformers and compares it with Quern's own runtime.

    make check-gpu                                     both of these:
    check_gpu.py make QUERN OUT [MODEL ...]            on any machine: quantized folders, ids, golden logits, predictions
    check_gpu.py run OUT [--device cpu] [--json FILE]  where transformers, compressed-tensors, gptqmodel, optimum and
                                                       bitsandbytes are: load each, compare, generate, measure

`make` takes Hugging Face folders (default: kjv-llama of the repository and a synthetic Llama) and writes
OUT/NAME-RECIPE for every recipe; `golden.safetensors` beside them holds what `quern logits` computes from that very
folder, decoded, in F32. `run` exits with 1 when a folder does not load or differs by more than BOUNDS. Not part of
`make test`.
"""

import argparse
import gc
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = ["f16", "gptq-int4-g128", "gptq-int4-g64", "gptq-int4-g32", "awq-int4", "w8a8", "nf4"]
# Of the run whose memory is measured.
CONTEXT, PROMPT = 256, 64
# The loader computes in F16; W8A8's kernels may round activations to int8 too, where golden logits have them in F32.
BOUNDS = {"cosine": 0.9995, "agreement": 0.97, "perplexity": 0.01}
LOOSE = {"cosine": 0.995, "agreement": 0.90, "perplexity": 0.02}


def synthetic(folder, width, layers):
    """A Llama with random weights."""
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    inner, vocabulary, heads = width * 11 // 4, 4096, width // 64
    pairs = heads // 2
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": pairs, "head_dim": 64,
        "vocab_size": vocabulary, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    random = numpy.random.default_rng(5)

    def matrix(rows, columns, scale=1.0):
        # Rows of uneven size, as trained weights have them.
        rough = random.standard_normal((rows, columns)) * numpy.exp(random.standard_normal((rows, 1)) * 0.3)
        return (rough * scale / math.sqrt(columns)).astype(numpy.float16)

    tensors = {
        "model.embed_tokens.weight": matrix(vocabulary, width, 20), "lm_head.weight": matrix(vocabulary, width),
        "model.norm.weight": numpy.ones(width, numpy.float16)}
    for layer in range(layers):
        name = f"model.layers.{layer}"
        for part, rows, columns in [
            ("self_attn.q_proj", width, width), ("self_attn.k_proj", pairs * 64, width),
            ("self_attn.v_proj", pairs * 64, width), ("self_attn.o_proj", width, width), ("mlp.gate_proj", inner, width),
            ("mlp.up_proj", inner, width), ("mlp.down_proj", width, inner)]:
            tensors[f"{name}.{part}.weight"] = matrix(rows, columns)
        for part in ["input_layernorm", "post_attention_layernorm"]:
            tensors[f"{name}.{part}.weight"] = (1 + 0.1 * random.standard_normal(width)).astype(numpy.float16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def make(options):
    from safetensors.numpy import save_file

    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    models = [pathlib.Path(model) for model in options.models]
    if not models:
        models = [ROOT / "Fixtures/models/kjv-llama", out / "source" / "wide"]
        shutil.rmtree(models[1], ignore_errors=True)
        synthetic(models[1], options.width, options.layers)

    def quern(*arguments):
        ran = subprocess.run([options.quern, *map(str, arguments)], capture_output=True, text=True)
        if ran.returncode:
            sys.exit(f"quern {' '.join(map(str, arguments))}: {ran.stderr}")
        return ran.stdout

    for model in models:
        for recipe in RECIPES:
            folder = out / f"{model.name}-{recipe}"
            shutil.rmtree(folder, ignore_errors=True)
            if recipe == "f16":
                quern("convert", model, "-o", folder, "--to", "safetensors", "--dtype", "f16")
            else:
                quern("quantize", model, "-o", folder, "--recipe", recipe)
            ids = text_ids(quern, model)
            save_file({"input_ids": ids}, folder / "ids.safetensors")
            quern("logits", folder, "--ids", folder / "ids.safetensors", "-o", folder / "golden.safetensors", "--force")
            half(folder / "golden.safetensors")
            arguments = ["--profile", "transformers", "--context", CONTEXT, "--prompt", PROMPT, "--json"]
            (folder / "predicted.json").write_text(quern("memory", folder, *arguments))
            print(folder.name, tuple(ids.shape), flush=True)
    shutil.rmtree(out / "source", ignore_errors=True)
    manifest = {"quern": quern("--version").strip(), "folders": sorted(p.parent.name for p in out.glob("*/golden.safetensors"))}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1))


def text_ids(quern, model):
    """[1, 192]: a text's tokens where the model came with one, else any."""
    import numpy

    if (model / "eval.txt").exists():
        text = (model / "eval.txt").read_text()[:2000]
        ids = json.loads(quern("tokenize", model, text, "--json"))
        ids = ids.get("ids") or ids["tokens"]
        return numpy.array([ids[:192]], dtype=numpy.int32)
    random = numpy.random.default_rng(7)
    return random.integers(1, 4096, (1, 192)).astype(numpy.int32)


def half(path):
    """Golden logits are carried in F16: a third digit is enough for what is compared."""
    import numpy
    from safetensors.numpy import load_file, save_file

    save_file({"logits": load_file(path)["logits"].astype(numpy.float16)}, path)


def loss(logits, ids):
    import torch

    rows = torch.log_softmax(logits[0, :-1].double(), -1)
    return float(-rows.gather(1, ids[0, 1:, None].long()).mean())


def linear_classes(model):
    counts = {}
    for name, module in model.named_modules():
        if name.endswith(("_proj", "lm_head")):
            kind = f"{type(module).__module__}.{type(module).__name__}"
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def settings(folder, backend):
    """GPTQModel chooses a kernel itself unless told: its fastest ones are compiled on first use, which takes minutes."""
    from transformers import AwqConfig, GPTQConfig

    if backend == "auto" or not uses_backends(folder):
        return {}
    if "awq" in folder.name:
        return {"quantization_config": AwqConfig(backend={"triton": "gemm_triton", "torch": "torch_awq"}[backend])}
    return {"quantization_config": GPTQConfig(bits=4, backend=f"gptq_{backend}")}


def uses_backends(folder):
    return "gptq" in folder.name or "awq" in folder.name


def run_one(folder, device, backend):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    golden = load_file(folder / "golden.safetensors")["logits"].float()
    ids = load_file(folder / "ids.safetensors")["input_ids"].long()
    predicted = json.loads((folder / "predicted.json").read_text())
    cuda = device == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    start = time.time()
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float16 if cuda or "nf4" in folder.name else torch.float32, device_map={"": device},
        **settings(folder, backend))
    model.eval()
    row = {"folder": folder.name, "backend": backend, "seconds_to_load": round(time.time() - start, 2), "linear": linear_classes(model)}
    if cuda:
        row["resident_bytes"] = torch.cuda.memory_allocated() - before
    with torch.inference_mode():
        logits = model(ids.to(device)).logits.float().cpu()
        again = model(ids.to(device)).logits.float().cpu()
    row["same_twice"] = bool(torch.equal(logits, again))
    difference = (logits - golden).double()
    row["finite"] = bool(torch.isfinite(logits).all())
    row["cosine"] = float(torch.nn.functional.cosine_similarity(logits.flatten().double(), golden.flatten().double(), dim=0))
    row["max_difference_in_std"] = float(difference.abs().max() / golden.double().std())
    row["rms_difference_in_std"] = float(difference.pow(2).mean().sqrt() / golden.double().std())
    row["greedy_agreement"] = float((logits.argmax(-1) == golden.argmax(-1)).double().mean())
    ours, theirs = loss(golden, ids), loss(logits, ids)
    row["perplexity_quern"], row["perplexity_here"] = math.exp(ours), math.exp(theirs)
    row["perplexity_off"] = math.exp(theirs - ours) - 1

    def generate(count):
        return model.generate(
            ids[:, :PROMPT].to(device), attention_mask=torch.ones(1, PROMPT, dtype=torch.long, device=device), do_sample=False,
            max_new_tokens=count, min_new_tokens=count, pad_token_id=0)

    with torch.inference_mode():
        generate(2)
        if cuda:
            torch.cuda.synchronize()
        start = time.time()
        count = 32 if cuda else 4
        row["generated"] = generate(count)[0, PROMPT:].tolist()
        row["tokens_per_second"] = round(count / (time.time() - start), 1)
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            base = torch.cuda.memory_allocated()
            generate(CONTEXT - PROMPT)
            # What was there before the model (other libraries' workspaces) is not the model's.
            row["peak_bytes"] = torch.cuda.max_memory_allocated() - before
            row["workspaces_bytes"] = base - before - row["resident_bytes"]
            row["reserved_bytes"] = torch.cuda.max_memory_reserved()
    row["predicted_weights_bytes"], row["predicted_total_bytes"] = predicted["weightsBytes"], predicted["totalBytes"]
    bounds = LOOSE if "w8a8" in folder.name else BOUNDS
    row["wrong"] = [
        reason for reason, bad in [
            ("not finite", not row["finite"]), ("cosine", row["cosine"] < bounds["cosine"]),
            ("agreement", row["greedy_agreement"] < bounds["agreement"]),
            ("perplexity", abs(row["perplexity_off"]) > bounds["perplexity"])] if bad]
    del model
    gc.collect()
    return row


def tried(folder, device, backend):
    """One that does not load must not hide the others."""
    try:
        return run_one(folder, device, backend)
    except Exception as error:
        return {
            "folder": folder.name, "backend": backend, "wrong": ["does not load or run"],
            "error": f"{type(error).__name__}: {error}"[:2000], "where": traceback.format_exc()[-3000:]}


def show(row):
    label = f"{row['folder'] + ' ' + row['backend']:32}"
    if "cosine" in row:
        print(
            f"{label} cosine {row['cosine']:.6f}  max {row['max_difference_in_std']:.4f} std  agree "
            f"{row['greedy_agreement']:.4f}  perplexity {row['perplexity_quern']:.4f} / {row['perplexity_here']:.4f}  "
            f"{row['tokens_per_second']} tok/s  {row['linear']}", flush=True)
    if "peak_bytes" in row:
        print(
            f"{'':32} model {row['resident_bytes']:,} B, predicted {row['predicted_weights_bytes']:,}; peak "
            f"{row['peak_bytes']:,} B, of it workspaces {row['workspaces_bytes']:,}, predicted "
            f"{row['predicted_total_bytes']:,}", flush=True)
    if row["wrong"]:
        print(f"{label} WRONG: {', '.join(row['wrong'])} {row.get('error', '')}", flush=True)


def run(options):
    import torch
    import transformers

    rows = []
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {device}", flush=True)
    folders = sorted(path.parent for path in pathlib.Path(options.out).glob("*/golden.safetensors"))
    if not folders:
        sys.exit(f"check_gpu: nothing was made under {options.out}")
    for folder in folders:
        if options.only and not any(word in folder.name for word in options.only):
            continue
        for backend in options.backends if uses_backends(folder) else options.backends[:1]:
            rows.append(tried(folder, options.device, backend))
            show(rows[-1])
            if options.json:
                versions = {"torch": torch.__version__, "transformers": transformers.__version__}
                pathlib.Path(options.json).write_text(json.dumps({**versions, "device": device, "rows": rows}, indent=1))
    wrong = [row["folder"] for row in rows if row["wrong"]]
    print(f"{len(rows)} folders, {len(wrong)} wrong" + (": " + ", ".join(wrong) if wrong else ""), flush=True)
    sys.exit(1 if wrong else 0)


def main():
    # What is timed is loading and computing, not compiling.
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    maker = commands.add_parser("make")
    maker.add_argument("quern")
    maker.add_argument("out")
    maker.add_argument("models", nargs="*")
    maker.add_argument("--width", type=int, default=512, help="of the synthetic model; a multiple of 512")
    maker.add_argument("--layers", type=int, default=2)
    maker.set_defaults(action=make)
    runner = commands.add_parser("run")
    runner.add_argument("out")
    runner.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    runner.add_argument("--json")
    runner.add_argument(
        "--backends", nargs="+", default=["auto"], choices=["auto", "triton", "torch"], help="GPTQModel's, for GPTQ and AWQ")
    runner.add_argument("--only", nargs="+", help="folders whose name has one of these words")
    runner.set_defaults(action=run)
    options = parser.parse_args()
    options.action(options)


if __name__ == "__main__":
    main()
