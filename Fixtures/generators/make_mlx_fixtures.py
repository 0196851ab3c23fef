"""Writes Fixtures/quantized/mlx-real-*: weights that MLX itself quantized, and answer.safetensors as MLX decodes them, in
F32. Runs on any processor.

    python make_mlx_fixtures.py

Needs mlx[cpu] 0.31 and numpy.
"""

import json
import pathlib

import mlx.core as mx

ROOT = pathlib.Path(__file__).resolve().parent.parent / "quantized"
mx.random.seed(5)
mx.set_default_device(mx.cpu)


def write(name, weight, parts, decoded, settings):
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"l.weight": parts[0], "l.scales": parts[1], "norm.weight": mx.arange(8, dtype=mx.float32)}
    if len(parts) > 2:
        tensors["l.biases"] = parts[2]
    mx.save_safetensors(str(folder / "model.safetensors"), tensors)
    mx.save_safetensors(str(folder / "answer.safetensors"), {"l.weight": decoded, "norm.weight": tensors["norm.weight"]})
    (folder / "config.json").write_text(json.dumps({"quantization": settings}, indent=1) + "\n")


for bits, group, dtype in [(2, 32, mx.float16), (3, 64, mx.bfloat16), (4, 64, mx.float16), (5, 64, mx.float32), (6, 128, mx.bfloat16),
                           (8, 32, mx.float32)]:
    weight = mx.random.normal((7, 256)).astype(dtype)
    parts = mx.quantize(weight, group_size=group, bits=bits)
    decoded = mx.dequantize(parts[0], *(part.astype(mx.float32) for part in parts[1:]), group_size=group, bits=bits)
    write(f"mlx-real-{bits}bit", weight, parts, decoded, {"group_size": group, "bits": bits})

for mode, group, bits in [("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]:
    weight = mx.random.normal((7, 256))
    parts = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
    decoded = mx.dequantize(*parts, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
    write(f"mlx-real-{mode}", weight, parts, decoded, {"group_size": group, "bits": bits, "mode": mode})
