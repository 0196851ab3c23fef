"""usage: make_codec_errors.py PATH/libggml-base.so [OUT.json]      (needs numpy and gguf)

What llama-quantize loses without calibration data: the sum of squared errors of ggml_quantize_chunk, the function that
llama-quantize calls per tensor, on tensors of Fixtures/models/kjv-llama. Decoded and summed by NumPy in double.
"""
import ctypes, json, pathlib, sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T

FIXTURES = pathlib.Path(__file__).parents[1]
OUT = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else FIXTURES / "vectors" / "codecs" / "llama-quantize-errors.json")
TYPES = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS, T.IQ3_S,
         T.IQ3_XXS, T.IQ2_S]
TENSORS = ["model.layers.0.self_attn.v_proj.weight", "model.layers.3.mlp.down_proj.weight", "lm_head.weight"]
ROWS = 256  # of each tensor, at most

quantize = ctypes.CDLL(sys.argv[1]).ggml_quantize_chunk
quantize.restype = ctypes.c_size_t
quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]

data = (FIXTURES / "models" / "kjv-llama" / "model.safetensors").read_bytes()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])

result = {}
for name in TENSORS:
    begin, end = header[name]["data_offsets"]
    bits = np.frombuffer(data[start + begin:start + end], "<u2").astype(np.uint32) << 16
    x = bits.view(np.float32).reshape(header[name]["shape"])[:ROWS].copy()
    result[name] = {}
    for kind in TYPES:
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        out = np.zeros((x.shape[0], x.shape[1] // elements * size), np.uint8)
        quantize(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None)
        error = x.astype(np.float64) - gguf.quants.dequantize(out, kind).astype(np.float64)
        result[name][kind.name] = float((error ** 2).sum())
OUT.write_text(json.dumps(result, indent=1) + "\n")
