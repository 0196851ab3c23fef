"""usage: make_codec_vectors.py [OUT_FOLDER] [PATH/libggml-base.so]      (needs numpy and gguf 0.19 from PyPI)

Known answers for the block codecs, from the `gguf` package's NumPy implementation, which llama.cpp keeps bit-equal to
its C code. Per type, in Fixtures/vectors/codecs:

  TYPE.decode   records of { block; float32 elements }: random bytes, then blocks whose scales are NaN, infinite,
                subnormal, zero and negative
  TYPE.encode   records of { float32 elements; block }: ggml's own encoding of random, constant, tiny and huge elements (no −0: there NumPy and C differ)

Q2_0, which the package lacks, comes from the library's C functions; without one it is left out.

Little-endian, no header: the sizes follow from the type. NaNs compare equal whatever their payload. Deterministic.
"""
import ctypes, pathlib, sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1] / "vectors" / "codecs")

# Where each block keeps its halves (byte offsets), to plant extreme scales there.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.IQ4_NL: [0], T.IQ4_XS: [0], T.IQ3_S: [0], T.IQ3_XXS: [0], T.IQ2_S: [0], T.IQ2_XS: [0], T.IQ2_XXS: [0],
    T.IQ1_S: [0], T.IQ1_M: [], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [], T.NVFP4: [],
}
Q2_0 = 42
SIZES = gguf.GGML_QUANT_SIZES | {Q2_0: (64, 18)}
LIBRARY = ctypes.CDLL(sys.argv[2]) if len(sys.argv) > 2 else None
EXTREMES = [0x7e00, 0x7c00, 0xfc00, 0x0001, 0x83ff, 0x0000, 0x8000, 0x7bff]
ENCODERS = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0]


def dequantize(blocks, kind):
    if kind != Q2_0:
        return gguf.quants.dequantize(blocks, kind)
    values = np.zeros((len(blocks), 64), np.float32)
    LIBRARY.dequantize_row_q2_0(
        ctypes.c_void_p(blocks.ctypes.data), ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(values.size))
    return values


def quantize(values, kind):
    if kind != Q2_0:
        return gguf.quants.quantize(values, kind)
    blocks = np.zeros((len(values), 18), np.uint8)
    LIBRARY.quantize_row_q2_0_ref(
        ctypes.c_void_p(values.ctypes.data), ctypes.c_void_p(blocks.ctypes.data), ctypes.c_int64(values.size))
    return blocks


def decode_vectors(kind, rng):
    elements, size = SIZES[kind]
    count, planted = (24, 8) if elements < 256 else (5, 3)
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    halves = HALVES.get(kind, [0])
    for offset in halves:  # ordinary scales first
        blocks[:, offset:offset + 2] = rng.normal(0, 1, count).astype(np.float16).view(np.uint8).reshape(-1, 2)
    for i in range(planted):
        for n, offset in enumerate(halves):
            if n and i % 2:  # an extreme scale beside an ordinary minimum
                continue
            blocks[-1 - i, offset:offset + 2] = np.array([EXTREMES[i]], "<u2").view(np.uint8)
    with np.errstate(all="ignore"):
        values = dequantize(blocks, kind).astype("<f4").reshape(count, elements)
    return b"".join(blocks[i].tobytes() + values[i].tobytes() for i in range(count))


def encode_vectors(kind, rng):
    elements, _ = SIZES[kind]
    rows = [rng.normal(0, s, elements) for s in (1, 1, 1e-3, 1e-6, 1e-9, 1e3)]
    rows += [np.zeros(elements), np.full(elements, 3.25), np.arange(elements) - 7.0]
    rows.append(np.where(np.arange(elements) == 5, -30000.0, 1.0))
    values = np.array(rows, "<f4")
    with np.errstate(all="ignore"):
        blocks = quantize(values, kind)
    return b"".join(values[i].tobytes() + blocks[i].tobytes() for i in range(len(rows)))


OUT.mkdir(parents=True, exist_ok=True)
for kind in HALVES:
    (OUT / f"{kind.name}.decode").write_bytes(decode_vectors(kind, np.random.default_rng([20, int(kind)])))
for kind in ENCODERS:
    (OUT / f"{kind.name}.encode").write_bytes(encode_vectors(kind, np.random.default_rng([21, int(kind)])))
if LIBRARY:
    (OUT / "Q2_0.decode").write_bytes(decode_vectors(Q2_0, np.random.default_rng([20, Q2_0])))
    (OUT / "Q2_0.encode").write_bytes(encode_vectors(Q2_0, np.random.default_rng([21, Q2_0])))
