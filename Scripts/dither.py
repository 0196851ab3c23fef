"""Make a full-precision stand-in from a Q4_1 GGUF, to quantize and compare from.

usage: Scripts/dither.py IN.Q4_1.gguf OUT.F16.gguf      (needs the PyPI packages gguf and numpy: .peers/venv has them)

Each 4-bit weight is moved by uniform noise of its own quantization step, so that the weights lie on no 4-bit grid any
more; everything else is copied. Deterministic.
"""
import sys

import gguf
import numpy as np
from gguf.constants import GGMLQuantizationType as Type

SKIPPED = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type",
           "general.quantization_version"}


def dithered(tensor, noise):
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    if tensor.tensor_type == Type.Q4_1:
        steps = tensor.data.reshape(-1, 20)[:, :2].copy().view(np.float16).astype(np.float32)
        blocks = values.reshape(-1, 32)
        values = (blocks + noise.uniform(-0.5, 0.5, blocks.shape).astype(np.float32) * steps)
    return values.reshape([int(d) for d in reversed(tensor.shape)])


def main(source, target):
    reader = gguf.GGUFReader(source)
    noise = np.random.default_rng(4)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name not in SKIPPED:
            is_array = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if is_array else None)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for tensor in reader.tensors:
        values = dithered(tensor, noise)
        writer.add_tensor(tensor.name, values if tensor.tensor_type == Type.F32 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
