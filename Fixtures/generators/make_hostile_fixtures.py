"""Writes Fixtures/hostile: files that lie, and what must be said about each (expected.json).

    python make_hostile_fixtures.py

Only the standard library: nothing here is a sound file of its container.
"""

import json
import pickle
import struct
import zipfile

from common import FIXTURES, field, varint

ROOT = FIXTURES / "hostile"
ROWS = []


def bad(name, data, *words):
    (ROOT / name).write_bytes(data)
    ROWS.append({"file": name, "words": list(words)})


def torch_zip(name, data_pkl, *words, compression=zipfile.ZIP_STORED):
    path = ROOT / name
    with zipfile.ZipFile(path, "w", compression) as file:
        for entry, data in (("archive/data.pkl", data_pkl), ("archive/version", b"3\n")):
            file.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), data, compression)
    ROWS.append({"file": name, "words": list(words)})


class System:
    def __reduce__(self):
        import os
        return os.system, ("echo pwned > /tmp/pwned",)


class Chain:
    def __reduce__(self):
        return getattr, (__import__, "__call__")


torch_zip("os_system.pt", pickle.dumps({"a": System()}, 2), "posix.system", "not run")
torch_zip("getattr_chain.pt", pickle.dumps(Chain(), 2), "getattr", "not run")
torch_zip("builtins_eval.pt", b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.", "builtins.eval")
torch_zip("stack_global.pt", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", "os.system")
torch_zip("inst_opcode.pt", b"(S'x'\nios\nsystem\n.", "STRING")
torch_zip("build_setstate.pt", b"\x80\x02csubprocess\nPopen\n)\x81}b.", "subprocess.Popen")
torch_zip("huge_string.pt", b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x", "too early")
torch_zip("memo_flood.pt", b"\x80\x02" + b"".join(b"N" + b"r" + struct.pack("<I", 2**32 - 1 - i) for i in range(1000)), "too early")
torch_zip("deep_nesting.pt", b"\x80\x02" + b"(" * 200000 + b"t" * 200000 + b".", "no dictionary")
torch_zip("dup_flood.pt", b"\x80\x02]" + b"(" + b"2" * 3000 + b"e.", "does not fit")
bad("two_pickles.pdparams", pickle.dumps({"a": 1}, 2) + pickle.dumps(System(), 2), "another one")
bad("legacy_os_system.bin", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + pickle.dumps(System(), 2),
    "posix.system", "not run")
bad("pickle_system.pdparams", pickle.dumps(System(), 2), "posix.system")

# Sixteen kilobytes that are said to be four gigabytes.
bomb = zipfile.ZipFile(ROOT / "zip_bomb.npz", "w", zipfile.ZIP_DEFLATED)
bomb.writestr(zipfile.ZipInfo("a.npy", (1980, 1, 1, 0, 0, 0)), b"\0" * (1 << 24), zipfile.ZIP_DEFLATED)
bomb.close()
lying = bytearray((ROOT / "zip_bomb.npz").read_bytes())
struct.pack_into("<I", lying, lying.rindex(b"PK\1\2") + 24, 0xFFFFFFF0)
bad("zip_bomb.npz", bytes(lying), "cannot be 4294967280")

# Frames of run-length blocks: 128 KiB from four bytes, 4 GiB from 128 KiB.
block = struct.pack("<I", (1 << 17) << 3 | 1 << 1)[:3] + b"\0"
frame = b"\x28\xb5\x2f\xfd\x00\x58" + block * 32767 + struct.pack("<I", (1 << 17) << 3 | 1 << 1 | 1)[:3] + b"\0"
bad("bomb.zst", frame, "expands to more")
bad("cut.zst", frame[:1000], "cut off")
bad("stated_bomb.zst", b"\x28\xb5\x2f\xfd\xc0\x58" + struct.pack("<Q", 2**50) + block + b"\1\0\0", "expands to more")
bad("stated_lie.zst", b"\x28\xb5\x2f\xfd\xc0\x58" + struct.pack("<Q", 2**25) + block + b"\1\0\0", "compressed")

hdf = b"\x89HDF\r\n\x1a\n"
superblock = hdf + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
superblock += struct.pack("<QQQQ", 0, 2**64 - 1, 64, 2**64 - 1) + struct.pack("<QQII16x", 0, 96, 0, 0)
bad("header_length.h5", superblock + struct.pack("<BBHII4x", 1, 0, 1, 1, 2**31), "header of")
bad("address.h5", superblock.replace(struct.pack("<QQII16x", 0, 96, 0, 0), struct.pack("<QQII16x", 0, 2**61, 0, 0)), "outside the file")
bad("cut.h5", superblock.replace(struct.pack("<Q", 64), struct.pack("<Q", 2**40)), "cut off")
size = struct.pack("<HHB3x", 0x01, 8 + 16, 0) + bytes([1, 2, 0, 0, 0, 0, 0, 0]) + struct.pack("<QQ", 2**40, 2**40)
kind = struct.pack("<HHB3x", 0x03, 24, 0) + bytes([0x11, 0x20, 31, 0]) + struct.pack("<IHHBBBBI4x", 4, 0, 32, 23, 8, 0, 23, 127)
layout = struct.pack("<HHB3x", 0x08, 24, 0) + bytes([3, 1]) + struct.pack("<QQ6x", 0, 2**42)
body = size + kind + layout
bad("shape_overflow.h5", superblock + struct.pack("<BBHII4x", 1, 0, 3, 1, len(body)) + body, "impossible")

tensor = field(1, 2**40) + field(1, 2**40) + field(2, 1) + field(8, b"w") + field(9, b"abcd")
bad("shape.onnx", field(1, 8) + field(7, field(5, tensor)), "w", "impossible")
short = field(1, 1000) + field(2, 1) + field(8, b"w") + field(9, b"abcd")
bad("short_raw.onnx", field(1, 8) + field(7, field(5, short)), "4000")
outside = field(1, 1) + field(2, 1) + field(8, b"w") + field(14, 1) + field(13, field(1, b"location") + field(2, b"../../etc/passwd"))
bad("outside.onnx", field(1, 8) + field(7, field(5, outside)), "outside")
deep = b""
for _ in range(40):
    deep = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, deep)))
bad("deep.onnx", field(1, 8) + field(7, deep), "deep")
bad("length.onnx", field(1, 8) + varint(7 << 3 | 2) + varint(2**50) + b"x" * 64, "cut off")

bad("counts.gguf", b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "counts.gguf")
bad("array_count.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 8, 2**60), "a")


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
bad("hole.safetensors", safetensors({"a": one, "b": {**one, "data_offsets": [16, 24]}}, b"\0" * 24), "belong to no tensor")
bad("overlap.safetensors", safetensors({"a": one, "b": {**one, "data_offsets": [4, 12]}}, b"\0" * 12), "share the bytes")
bad("huge_shape.safetensors", safetensors({"a": {**one, "shape": [2**40, 2**40]}}, b"\0" * 8), "too large")
gptq = {"l.qweight": {"dtype": "I32", "shape": [4, 8], "data_offsets": [0, 128]},
        "l.qzeros": {"dtype": "I32", "shape": [1, 1], "data_offsets": [128, 132]},
        "l.scales": {"dtype": "F16", "shape": [1, 8], "data_offsets": [132, 148]},
        "l.g_idx": {"dtype": "I32", "shape": [32], "data_offsets": [148, 276]}}
bad("gptq_group.safetensors", safetensors(gptq, b"\0" * 148 + struct.pack("<32i", *[7] * 32)), "group")

bad("map_count.msgpack", b"\x82\xa1a\x01\xdf\xff\xff\xff\xff" + b"\0" * 20, "no text")
bad("deep.msgpack", b"\x81\xa1a" * 50000, "levels")
array = b"\x93\x92\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff\xa7float32\xc6" + struct.pack(">I", 16) + b"\0" * 16
bad("array_shape.msgpack", b"\x81\xa1a\xc7" + bytes([len(array)]) + b"\x01" + array, "4294967295")

bad("variables.bin", struct.pack("<IH", 6, 9) + b"TestSpec\0" + struct.pack("<II", 1, 2**32 - 1) + b"\0" * 64, "variables")
bad("dictionary.bin", struct.pack("<Ii", 0x2F4F16BA, 12) + struct.pack("<12id", *[1] * 12, 0.1) + struct.pack("<iiiqq", 2**30, 1, 0, 0, 0),
    "dictionary")
bad("rows.bin", b"99999999 300\nthe " + b"\0" * 100, "cannot hold")
bad("vocabulary.bin", b"tjgg" + struct.pack("<i", 3) + struct.pack("<7i", 2**30, 64, 1, 1, 1, 64, 2), "vocabulary")
bad("table.index", b"\0" * 8 + (varint(0) + varint(8) + varint(2**40) + varint(2**40)).ljust(40, b"\0")
    + struct.pack("<Q", 0xDB4775248B80FB57), "outside the file")
dims = field(1, field(1, b"t") + field(2, field(1, 2**40) + field(1, 2**40) + field(2, b"Float32") + field(3, b"abcd")))
bad("dims.ckpt", dims, "shape")

bad("empty.bin", b"", "it is empty")

(ROOT / "expected.json").write_text(json.dumps(ROWS, indent=1) + "\n")
