"""Adds to Fixtures/containers files that llama.cpp itself quantized before GGUF, one for each type of each version of ggjt,
and beside each FILE.answer.safetensors with what that same llama.cpp decodes. Blocks of version 3 are still in use and read
as they are: those files lie in Fixtures/ggjt3, with FILE.values.safetensors.

    python make_ggml_fixtures.py SOURCES

SOURCES holds the source packages llama_cpp_python 0.1.32, 0.1.38, 0.1.49, 0.1.50 and 0.1.65, unpacked; their llama.cpp
is compiled here. Needs gcc, g++, numpy and safetensors.
"""

import ctypes
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

from common import FIXTURES, normal, save_answer

ROOT = FIXTURES / "containers"
WORK = pathlib.Path(tempfile.mkdtemp())
random = np.random.default_rng(41)
# Release, file version, {type's name: (what to ask for, ggml's number)}.
RELEASES = [
    ("0.1.32", 1, {"q4_0": (2, 0), "q4_1": (3, 1)}),
    ("0.1.38", 1, {"q4_2": (5, 4), "q4_3": (6, 5)}),
    ("0.1.49", 1, {"q5_0": (8, 6), "q5_1": (9, 7), "q8_0": (7, 8)}),
    ("0.1.50", 2, {"q4_0": (2, 2), "q4_1": (3, 3), "q5_0": (8, 6), "q5_1": (9, 7), "q8_0": (7, 8)}),
    ("0.1.65", 3, {"q4_0": (2, 2), "q4_1": (3, 3), "q5_0": (8, 6), "q5_1": (9, 7), "q8_0": (7, 8)}),
]


class Functions(ctypes.Structure):
    """ggml's quantize_fns_t; room for the later releases' further members."""
    _fields_ = [("dequantize", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int))] + [
        (f"other{index}", ctypes.c_void_p) for index in range(5)]


class Memory(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("absent", ctypes.c_bool)]


class Parameters(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int), ("type", ctypes.c_int), ("again", ctypes.c_bool), ("output", ctypes.c_bool)]


def library(release):
    source = pathlib.Path(sys.argv[1]) / f"llama_cpp_python-{release}" / "vendor" / "llama.cpp"
    shared = source / "llama.so"
    if shared.exists():
        return ctypes.CDLL(str(shared))
    objects = []
    for file in ("ggml.c", "k_quants.c", "llama.cpp"):
        if not (source / file).exists():
            continue
        objects.append(WORK / f"{release}-{file}.o")
        compiler = ["gcc", "-std=c11"] if file.endswith(".c") else ["g++", "-std=c++11"]
        flags = ["-O1", "-w", "-fPIC", "-D_GNU_SOURCE", "-mavx2", "-mfma", "-mf16c"]
        flags += ["-DGGML_USE_K_QUANTS"] if (source / "k_quants.c").exists() else []
        subprocess.run([*compiler, *flags, f"-I{source}", "-c", source / file, "-o", objects[-1]], check=True)
    subprocess.run(["g++", "-shared", "-pthread", *objects, "-o", shared], check=True)
    return ctypes.CDLL(str(shared))


def plain_file(tensors, columns):
    """ggjt 1 with F32 tensors, which every release reads."""
    data = struct.pack("<Ii", 0x67676A74, 1) + struct.pack("<7i", 3, columns, 32, 1, 1, columns, 0)
    for token in (b"a", b"bc", b""):
        data += struct.pack("<I", len(token)) + token + struct.pack("<f", 0.5)
    for name, value in tensors.items():
        data += struct.pack("<iii", value.ndim, len(name), 0) + struct.pack(f"<{value.ndim}i", *reversed(value.shape)) + name.encode()
        data += b"\0" * (-len(data) % 32) + value.tobytes()
    return data


def quantize(release, version, types):
    lib = library(release)
    lib.ggml_internal_get_quantize_fn.restype = Functions
    lib.ggml_init(Memory(1 << 16, None, False))  # fills ggml's table of half floats
    for name, (wanted, kind) in types.items():
        columns = 64
        tensors = {"tok_embeddings.weight": normal(random, 3, columns) * np.float32(0.1), "norm.weight": normal(random, columns)}
        before = WORK / "plain.bin"
        before.write_bytes(plain_file(tensors, columns))
        after = (FIXTURES / "ggjt3" if version == 3 else ROOT) / f"ggjt-v{version}-{name}.bin"
        after.parent.mkdir(exist_ok=True)
        arguments = [str(before).encode(), str(after).encode()]
        if release == "0.1.65":
            arguments.append(ctypes.byref(Parameters(1, wanted, False, True)))
        else:
            arguments += [wanted] + ([1] if release != "0.1.32" else [])
        assert lib.llama_model_quantize(*arguments) == 0, (release, name)
        # The matrix's blocks lie at the end or before the vector, which stays as it was.
        stored = after.read_bytes()
        vector = tensors["norm.weight"].tobytes()
        matrix_name = stored.index(b"tok_embeddings.weight") + len("tok_embeddings.weight")
        start = matrix_name + -matrix_name % 32
        decoded = np.zeros((3, columns), np.float32)
        functions = lib.ggml_internal_get_quantize_fn(ctypes.c_size_t(kind))
        functions.dequantize(stored[start:], decoded.ctypes.data, decoded.size)
        assert np.abs(decoded - tensors["tok_embeddings.weight"]).max() < 0.2 and vector in stored, name
        values = {"tok_embeddings.weight": decoded, "norm.weight": tensors["norm.weight"]}
        save_answer(after.parent, after.name, values, kind="values" if version == 3 else "answer")


for row in RELEASES:
    quantize(*row)
