"""usage: make_codec_vectors.py [OUT_FOLDER]      (needs numpy and gguf 0.19 from PyPI)

Known answers for the block codecs, from the `gguf` package's NumPy implementation, which llama.cpp keeps bit-equal to
its C code. Per type, in Fixtures/vectors/codecs:

  TYPE.decode   records of { block; float32 elements }: random bytes, then blocks whose scales are NaN, infinite,
                subnormal, zero and negative
  TYPE.encode   records of { float32 elements; block }: ggml's own encoding of random, constant, tiny and huge elements (no −0: there NumPy and C differ)

Little-endian, no header: the sizes follow from the type. NaNs compare equal whatever their payload. Deterministic.
"""
import pathlib, sys
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
EXTREMES = [0x7e00, 0x7c00, 0xfc00, 0x0001, 0x83ff, 0x0000, 0x8000, 0x7bff]
ENCODERS = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0]


def decode_vectors(kind, rng):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    count, planted = (24, 8) if elements < 256 else (5, 3)
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in HALVES[kind]:  # ordinary scales first
        blocks[:, offset:offset + 2] = rng.normal(0, 1, count).astype(np.float16).view(np.uint8).reshape(-1, 2)
    for i in range(planted):
        for n, offset in enumerate(HALVES[kind]):
            if n and i % 2:  # an extreme scale beside an ordinary minimum
                continue
            blocks[-1 - i, offset:offset + 2] = np.array([EXTREMES[i]], "<u2").view(np.uint8)
    with np.errstate(all="ignore"):
        values = gguf.quants.dequantize(blocks, kind).astype("<f4").reshape(count, elements)
    return b"".join(blocks[i].tobytes() + values[i].tobytes() for i in range(count))


def encode_vectors(kind, rng):
    elements, _ = gguf.GGML_QUANT_SIZES[kind]
    rows = [rng.normal(0, s, elements) for s in (1, 1, 1e-3, 1e-6, 1e-9, 1e3)]
    rows += [np.zeros(elements), np.full(elements, 3.25), np.arange(elements) - 7.0]
    rows.append(np.where(np.arange(elements) == 5, -30000.0, 1.0))
    values = np.array(rows, "<f4")
    with np.errstate(all="ignore"):
        blocks = gguf.quants.quantize(values, kind)
    return b"".join(values[i].tobytes() + blocks[i].tobytes() for i in range(len(rows)))


OUT.mkdir(parents=True, exist_ok=True)
for kind in HALVES:
    (OUT / f"{kind.name}.decode").write_bytes(decode_vectors(kind, np.random.default_rng([20, int(kind)])))
for kind in ENCODERS:
    (OUT / f"{kind.name}.encode").write_bytes(encode_vectors(kind, np.random.default_rng([21, int(kind)])))
