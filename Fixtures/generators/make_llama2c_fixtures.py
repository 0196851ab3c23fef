"""Adds Fixtures/containers/llama2c-own.bin, and beside it what llama2_py, a port of llama2.c, reads from it.

    python make_llama2c_fixtures.py LLAMA2_PY

LLAMA2_PY holds llama2_py.py of the package llama2-py 0.0.6. Needs numpy and safetensors. The port knows no fewer key heads
than heads, and only version 0.
"""

import struct
import sys

import numpy as np

from common import FIXTURES, normal, save_answer

sys.path.insert(0, sys.argv[1])
import llama2_py

random = np.random.default_rng(53)
dim, hidden, layers, heads, vocab, length = 8, 12, 3, 2, 9, 5
path = FIXTURES / "containers" / "llama2c-own.bin"
count = vocab * dim + layers * (2 * dim + 4 * dim * dim + 3 * dim * hidden) + dim + 2 * length * (dim // heads // 2)
path.write_bytes(struct.pack("<7i", dim, hidden, layers, heads, heads, vocab, length) + normal(random, count).tobytes())

weights = llama2_py.TransformerWeights()
with open(path, "rb") as file:
    config = llama2_py.Config(*struct.unpack("7i", file.read(28)))
    llama2_py.checkpoint_init_weights(weights, config, file, 1, path.stat().st_size)
tensors = {"tok_embeddings.weight": (weights.token_embedding_table, (vocab, dim)), "norm.weight": (weights.rms_final_weight, (dim,)),
           "freqs_cos": (weights.freq_cis_real, (length, dim // heads // 2)), "freqs_sin": (weights.freq_cis_imag, (length, dim // heads // 2))}
parts = {"attention_norm": (weights.rms_att_weight, (dim,)), "ffn_norm": (weights.rms_ffn_weight, (dim,)),
         "attention.wq": (weights.wq, (dim, dim)), "attention.wk": (weights.wk, (dim, dim)), "attention.wv": (weights.wv, (dim, dim)),
         "attention.wo": (weights.wo, (dim, dim)), "feed_forward.w1": (weights.w1, (hidden, dim)),
         "feed_forward.w2": (weights.w2, (dim, hidden)), "feed_forward.w3": (weights.w3, (hidden, dim))}
for name, (values, shape) in parts.items():
    for layer, part in enumerate(np.array(values, np.float32).reshape(layers, *shape)):
        tensors[f"layers.{layer}.{name}.weight"] = (part, shape)
save_answer(path.parent, path.name, {name: np.array(values, np.float32).reshape(shape) for name, (values, shape) in tensors.items()})
