"""Writes Fixtures/gguf: good files by the `gguf` package, and one bad file for each rule of Formats/Specs/gguf.md.

    python make_gguf_fixtures.py [LLAMA_GGUF_SPLIT]

With the path of llama.cpp's llama-gguf-split, the parts under good/llama-split-* are written by it.
bad/expected.json says for every bad file the rule it breaks, where (a byte offset), and the key or tensor concerned.
"""

import json
import pathlib
import struct
import subprocess
import sys

import gguf
import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent / "gguf"
GOOD, BAD = ROOT / "good", ROOT / "bad"


def values(*shape):
    count = int(numpy.prod(shape))
    return (numpy.sin(numpy.arange(count, dtype=numpy.float32) * 0.37)).reshape(shape).astype(numpy.float32)


def describe(writer):
    """A small model's usual pairs, in usual types."""
    writer.add_name("fixture")
    writer.add_uint32("llama.context_length", 2048)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    # Two tokens are canonically equal and differ as bytes: both must survive.
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "\u00e9", "e\u0301", "\u2581the"])
    writer.add_array("tokenizer.ggml.scores", [0.0, -1.5, -2.0, -3.25])
    writer.add_array("tokenizer.ggml.token_type", [3, 1, 1, 1])


def tensors(writer):
    """Three, three and two of them fill parts of up to 900 bytes, so that splitting by number and by size agree."""
    def quantized(name):
        kind = gguf.GGMLQuantizationType[name]
        writer.add_tensor(f"blk.0.{name.lower()}.weight", gguf.quants.quantize(values(3, 64), kind), raw_dtype=kind)

    quantized("BF16")
    packed = (numpy.arange(2 * 144) % 251).astype(numpy.uint8).reshape(2, 144)
    writer.add_tensor("blk.0.q4_k.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    quantized("Q8_0")
    writer.add_tensor("token_embd.weight", values(4, 32).astype(numpy.float16))
    quantized("Q5_1")
    quantized("Q4_0")
    writer.add_tensor("blk.0.four_axes", values(8, 3, 1, 5))
    writer.add_tensor("output_norm.weight", values(7))


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def good():
    path = GOOD / "plain.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer)
    tensors(writer)
    write(writer)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 4, 2)
    (GOOD / "version_2.gguf").write_bytes(data)

    writer = gguf.GGUFWriter(GOOD / "every_value_type.gguf", "llama")
    kinds = gguf.GGUFValueType
    for kind, value in [
        (kinds.UINT8, 255), (kinds.INT8, -128), (kinds.UINT16, 65535), (kinds.INT16, -32768), (kinds.UINT32, 2**32 - 1),
        (kinds.INT32, -(2**31)), (kinds.UINT64, 2**64 - 1), (kinds.INT64, -(2**63)), (kinds.FLOAT32, -0.0),
        (kinds.FLOAT64, 1e308), (kinds.BOOL, False), (kinds.STRING, "h\u00e9"),
    ]:
        writer.add_key_value(f"value.{kind.name.lower()}", value, kind)
        other = "" if kind == kinds.STRING else type(value)(1)
        writer.add_key_value(f"array.{kind.name.lower()}", [value, other], kinds.ARRAY, kind)
    writer.add_key_value("array.nested", [["a", "b"], ["c"]], kinds.ARRAY)
    write(writer)

    writer = gguf.GGUFWriter(GOOD / "aligned_64.gguf", "llama")
    writer.add_custom_alignment(64)
    tensors(writer)
    write(writer)

    writer = gguf.GGUFWriter(GOOD / "python-split.gguf", "llama", split_max_tensors=3)
    describe(writer)
    tensors(writer)
    write(writer)

    if len(sys.argv) > 1:
        for old in GOOD.glob("llama-split-*"):
            old.unlink()
        subprocess.run([sys.argv[1], "--split-max-tensors", "3", path, GOOD / "llama-split"], check=True, stdout=subprocess.DEVNULL)


def string(text):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text


class File:
    """A file put together by hand; `mark` remembers where the fault lies."""

    def __init__(self, tensor_count, pair_count, version=3, magic=b"GGUF"):
        self.data = bytearray(magic + struct.pack("<IQQ", version, tensor_count, pair_count))
        self.offset = None

    def mark(self):
        self.offset = len(self.data)
        return self

    def add(self, *parts):
        for part in parts:
            self.data += part
        return self

    def pair(self, key, kind, value):
        return self.add(string(key), struct.pack("<I", kind), value)

    def tensor(self, name, dims, kind, offset):
        return self.add(
            string(name), struct.pack(f"<I{len(dims)}Q", len(dims), *dims), struct.pack("<IQ", kind, offset))

    def body(self, count=0, alignment=32):
        while len(self.data) % alignment:
            self.data.append(0)
        self.start = len(self.data)
        self.data += bytes(index % 256 for index in range(count))
        return self


EXPECTED = []


def bad(name, rule, file, key="", offset=None):
    (BAD / f"{name}.gguf").write_bytes(file.data)
    EXPECTED.append({"file": f"{name}.gguf", "rule": rule, "offset": file.offset if offset is None else offset, "name": key})


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def bads():
    bad("not_gguf", 1, File(0, 0, magic=b"GGML"), offset=0)
    big = File(0, 0)
    big.data = bytearray(b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    bad("big_endian", 2, big, offset=4)
    bad("unsupported_version_1", 3, File(0, 0, version=1), offset=4)
    bad("unsupported_version_4", 3, File(0, 0, version=4), offset=4)
    bad("truncated_in_counts", 4, File(0, 0).add(), offset=16)
    (BAD / "truncated_in_counts.gguf").write_bytes(File(0, 0).data[:20])
    bad("truncated_in_value", 4, File(0, 1).add(string("a.b.c"), u32(4)).mark().add(b"\1\2"), "a.b.c")
    cut = File(1, 0).add(string("t"), u32(2), u64(32), u64(1)).mark().add(b"\0\0\0")
    bad("truncated_in_tensor", 4, cut, "t")
    bad("impossible_tensor_count", 5, File(2**60, 0).add(bytes(100)), offset=8)
    bad("impossible_pair_count", 5, File(0, 2**60).add(bytes(100)), offset=16)
    bad("impossible_key_length", 5, File(0, 1).mark().add(u64(2**60), bytes(20)))
    bad("impossible_string_length", 5, File(0, 1).add(string("k"), u32(8)).mark().add(u64(2**63), bytes(20)), "k")
    bad("impossible_array_count", 5, File(0, 1).add(string("k"), u32(9), u32(8)).mark().add(u64(2**60), bytes(20)), "k")
    bad("impossible_inner_array_count", 5,
        File(0, 1).add(string("k"), u32(9), u32(9), u64(1), u32(6)).mark().add(u64(2**62), bytes(20)), "k")
    deep = File(0, 1).add(string("k"), u32(9))
    for _ in range(200):
        deep.add(u32(9), u64(1))
    bad("limit_exceeded_depth", 6, deep.add(u32(0), u64(0)), "k", offset=24 + 9 + 4 + 128 * 12)
    bad("empty_key", 7, File(0, 1).mark().pair("", 4, u32(1)).add(bytes(8)))
    bad("empty_tensor_name", 7, File(1, 0).mark().tensor("", [], 0, 0).body(4))
    bad("duplicate_key", 8, File(0, 2).pair("a.b", 4, u32(1)).mark().pair("a.b", 4, u32(2)), "a.b")
    bad("unknown_value_type", 9, File(0, 1).add(string("a.b")).mark().add(u32(13), bytes(8)), "a.b")
    bad("unknown_element_type", 9, File(0, 1).add(string("a.b"), u32(9)).mark().add(u32(99), u64(1), bytes(8)), "a.b")
    bad("invalid_bool", 10, File(0, 1).add(string("a.b"), u32(7)).mark().add(b"\2"), "a.b")
    bad("invalid_bool_in_array", 10, File(0, 1).add(string("a"), u32(9), u32(7), u64(2), b"\1").mark().add(b"\7"), "a")
    alignment = "general.alignment"
    bad("invalid_alignment_zero", 11, File(0, 1).pair(alignment, 4, u32(0)), alignment, offset=0)
    bad("invalid_alignment_24", 11, File(0, 1).pair(alignment, 4, u32(24)), alignment, offset=0)
    bad("invalid_alignment_4", 11, File(0, 1).pair(alignment, 4, u32(4)), alignment, offset=0)
    bad("invalid_alignment_type", 11, File(0, 1).pair(alignment, 10, u64(32)), alignment, offset=0)
    twice = File(2, 0).tensor("t", [8], 0, 0).mark().tensor("t", [8], 0, 32).body(64)
    bad("duplicate_tensor", 12, twice, "t")
    bad("too_many_dimensions", 13, File(1, 0).add(string("t")).mark().add(u32(5), u64(1) * 5, u32(0), u64(0)).body(32), "t")
    for name, dims in [("product", [2**32, 2**32]), ("negative", [2**63]), ("bytes", [2**61, 2])]:
        bad(f"shape_too_large_{name}", 14, File(1, 0).add(string("t")).mark().add(
            u32(len(dims)), *[u64(dim) for dim in dims], u32(0), u64(0)).body(32), "t")
    bad("unknown_tensor_type", 15, File(1, 0).add(string("t"), u32(1), u64(8)).mark().add(u32(99), u64(0)).body(32), "t")
    bad("unknown_tensor_type_withdrawn", 15,
        File(1, 0).add(string("t"), u32(1), u64(32)).mark().add(u32(31), u64(0)).body(32), "t")
    bad("partial_block", 16, File(1, 0).add(string("t")).mark().add(u32(2), u64(48), u64(2), u32(2), u64(0)).body(64), "t")
    bad("misaligned", 17, File(1, 0).add(string("t"), u32(1), u64(8), u32(0)).mark().add(u64(8)).body(64), "t")
    bad("out_of_range", 18, File(2, 0).tensor("a", [8], 0, 0).mark().tensor("b", [9], 0, 32).body(64), "b")
    bad("out_of_range_far", 18, File(1, 0).mark().tensor("t", [8], 0, 2**63).body(64), "t")
    bad("out_of_range_no_data", 18, File(1, 0).mark().tensor("t", [8], 0, 0), "t")
    over = File(2, 0).tensor("a", [16], 0, 0).tensor("b", [8], 0, 32).body(64)
    bad("overlap", 19, over, "b", offset=over.start + 32)
    over = File(2, 0).tensor("a", [8], 0, 0).tensor("b", [8], 0, 0).body(64)
    bad("overlap_whole", 19, over, "b", offset=over.start)

    def part(number, count, total=None):
        file = File(0, 1 if total is None else 3)
        file.pair("split.count", 2, struct.pack("<H", count))
        if total is not None:
            file.pair("split.no", 2, struct.pack("<H", number)).pair("split.tensors.count", 5, struct.pack("<i", total))
        return file.body()

    bad("invalid_split_without_number", 20, part(0, 2), "split.no", offset=0)
    bad("invalid_split_number", 20, part(7, 2, 0), "split.no", offset=0)
    bad("invalid_split_total-00001-of-00002", 20, part(0, 2, 5), "split.tensors.count", offset=0)
    (BAD / "invalid_split_total-00002-of-00002.gguf").write_bytes(part(1, 2, 5).data)
    bad("unnumbered_part", 21, part(0, 2, 0), offset=0)
    bad("missing_parts-00002-of-00003", 22, part(1, 3, 0), offset=0)


for folder in [GOOD, BAD]:
    folder.mkdir(parents=True, exist_ok=True)
good()
bads()
(BAD / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
