"""Writes Fixtures/safetensors: good files by the `safetensors` package, and one bad file for each rule of
Formats/Specs/safetensors.md.

    python make_safetensors_fixtures.py

bad/expected.json says for every bad file the rule it breaks, where (a byte offset), and the key or tensor concerned.
"""

import json
import pathlib
import struct

import numpy
import safetensors

ROOT = pathlib.Path(__file__).resolve().parent.parent / "safetensors"
GOOD, BAD = ROOT / "good", ROOT / "bad"

SIZES = {
    "float32": 4, "float16": 2, "bfloat16": 2, "float64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1, "int8": 1, "int16": 2,
    "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "bool": 1,
}
ALIVE = []


def tensor(kind, *shape):
    count = SIZES[kind]
    for axis in shape:
        count *= axis
    low = 2 if kind == "bool" else 251
    data = numpy.array([(index * 7 + len(kind)) % low for index in range(count)], dtype=numpy.uint8)
    ALIVE.append(data)
    return safetensors.TensorSpec(dtype=kind, shape=list(shape), data_ptr=data.ctypes.data, data_len=count)


def good():
    every = {f"every.{kind}": tensor(kind, 2, 3) for kind in SIZES}
    every["scalar"] = tensor("float32")
    every["empty"] = tensor("float16", 0, 4)
    every["five.axes"] = tensor("int8", 1, 2, 1, 3, 2)
    every['quote"and\\backslash \u00e9'] = tensor("uint8", 3)
    every["e\u0301"] = tensor("uint8", 1)
    every["\u00e9"] = tensor("uint8", 1)
    (GOOD / "every_type.safetensors").write_bytes(safetensors.serialize(every, {"format": "pt"}))
    (GOOD / "no_tensors.safetensors").write_bytes(safetensors.serialize({}, None))
    shards = {
        "model-00001-of-00002.safetensors": {"a.weight": tensor("float32", 4, 2), "a.bias": tensor("float32", 4)},
        "model-00002-of-00002.safetensors": {"b.weight": tensor("bfloat16", 2, 4)},
    }
    places = {}
    for name, content in shards.items():
        (GOOD / name).write_bytes(safetensors.serialize(content, {"format": "pt"}))
        places |= {key: name for key in content}
    index = {"metadata": {"total_size": 64}, "weight_map": dict(sorted(places.items()))}
    (GOOD / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    # Header order is not data order, and white space may stand anywhere between tokens.
    (GOOD / "reordered.safetensors").write_bytes(
        pack(' "b" : {"shape":[1], "data_offsets":[4,8 ],"dtype":"F32"},\n"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}', 8))


def pack(members, count, length=None):
    header = ("{" + members + "}").encode() if isinstance(members, str) else members
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(range(count))


def entry(name, kind="F32", shape="[2]", offsets="[0,8]"):
    return f'"{name}":{{"dtype":"{kind}","shape":{shape},"data_offsets":{offsets}}}'


EXPECTED = []


def bad(name, rule, data, at, key=""):
    """`at` is an offset, or text of which the fault is the last occurrence."""
    (BAD / f"{name}.safetensors").write_bytes(data)
    offset = at if isinstance(at, int) else data.rindex(at.encode())
    EXPECTED.append({"file": f"{name}.safetensors", "rule": rule, "offset": offset, "name": key})


def bads():
    bad("truncated_length", 1, b"\x08\0\0", 0)
    bad("truncated_header", 1, pack(entry("t"), 0, length=4000), 0)
    bad("header_too_long", 2, pack(entry("t"), 8, length=2**60), 0)
    bad("header_empty", 3, pack(b"", 0), 8)
    bad("header_is_array", 3, pack(b"[]", 0), 8)
    bad("header_leading_space", 3, pack(b" {}", 0), 8)
    bad("header_not_utf8", 3, pack(b'{"\xff":{}}', 0), 8)
    bad("header_cut", 3, pack(b'{"t":{"dtype":"F32"', 0), 8 + 19)
    bad("header_trailing_comma", 3, pack(entry("t") + ",", 8), "}")
    bad("header_two_values", 3, pack(b"{}{}", 0), 10)
    bad("header_deep", 3, pack(b'{"t":{"dtype":' + b"[" * 5000, 0), 8 + 14 + 128)
    bad("duplicate_tensor", 4, pack(entry("t") + "," + entry("t"), 8), '"t"', "t")
    bad("duplicate_metadata_key", 4, pack('"__metadata__":{"a":"1","a":"2"}', 0), '"a"', "a")
    bad("duplicate_metadata", 4, pack('"__metadata__":{},"__metadata__":{}', 0), '"__metadata__"', "__metadata__")
    bad("field_missing_type", 5, pack('"t":{"shape":[2],"data_offsets":[0,8]}', 8), '"t"', "t")
    bad("field_missing_shape", 5, pack('"t":{"dtype":"F32","data_offsets":[0,8]}', 8), '"t"', "t")
    bad("field_missing_offsets", 5, pack('"t":{"dtype":"F32","shape":[2]}', 8), '"t"', "t")
    bad("field_unknown", 5, pack('"t":{"strides":[1],"dtype":"F32","shape":[2],"data_offsets":[0,8]}', 8), '"strides"', "t")
    bad("field_twice", 5, pack('"t":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}', 8), '"dtype"', "t")
    bad("field_type_is_number", 5, pack('"t":{"dtype":32,"shape":[2],"data_offsets":[0,8]}', 8), "32,", "t")
    bad("field_shape_negative", 5, pack(entry("t", shape="[-2]"), 8), "-2", "t")
    bad("field_shape_fraction", 5, pack(entry("t", shape="[2.0]"), 8), "2.0", "t")
    bad("field_shape_not_array", 5, pack(entry("t", shape="2"), 8), "2,", "t")
    bad("field_shape_too_large", 5, pack(entry("t", shape="[9223372036854775808]"), 8), "9223", "t")
    bad("field_one_offset", 5, pack(entry("t", offsets="[8]"), 8), '"t"', "t")
    bad("field_entry_is_null", 3, pack('"t":null', 8), "null")
    bad("unknown_type", 6, pack(entry("t", kind="F42"), 8), '"F42"', "t")
    bad("unknown_type_sub_byte", 6, pack(entry("t", kind="F4"), 8), '"F4"', "t")
    bad("shape_too_large", 7, pack(entry("t", shape="[4294967296,4294967296]"), 8), '"t"', "t")
    bad("shape_too_many_bytes", 7, pack(entry("t", shape="[4611686018427387904]"), 8), '"t"', "t")
    bad("out_of_range", 8, pack(entry("t"), 7), '"t"', "t")
    bad("out_of_range_backwards", 8, pack(entry("t", offsets="[8,0]"), 8), '"t"', "t")
    bad("out_of_range_far", 8, pack(entry("t", offsets="[9223372036854775799,9223372036854775807]"), 8), '"t"', "t")
    data = pack(entry("t", shape="[3]"), 8)
    bad("size_mismatch", 9, data, len(data) - 8, "t")
    data = pack(entry("a", shape="[3]", offsets="[0,12]") + "," + entry("b", offsets="[8,16]"), 16)
    bad("overlap", 10, data, len(data) - 8, "b")
    data = pack(entry("a") + "," + entry("b"), 8)
    bad("overlap_whole", 10, data, len(data) - 8, "b")
    data = pack(entry("a") + "," + entry("b", offsets="[12,20]"), 20)
    bad("hole", 11, data, len(data) - 12)
    data = pack(entry("a", offsets="[4,12]"), 12)
    bad("hole_first", 11, data, len(data) - 12)
    data = pack(entry("a"), 9)
    bad("hole_last", 11, data, len(data) - 1)
    bad("metadata_number", 12, pack('"__metadata__":{"format":1}', 0), "1}", "format")
    bad("metadata_not_object", 3, pack('"__metadata__":"pt"', 0), '"pt"')
    bad("limit_exceeded_axes", 13, pack(entry("t", shape="[" + "1," * 16 + "1]"), 4), "[1,1")
    EXPECTED[-1]["offset"] = (BAD / "limit_exceeded_axes.safetensors").read_bytes().index(b"[")
    indices()


def indices():
    def index(folder, places, shards, rule, key="", text=None):
        (BAD / folder).mkdir(exist_ok=True)
        content = text or json.dumps({"metadata": {}, "weight_map": places}, indent=1)
        (BAD / folder / "model.safetensors.index.json").write_text(content + "\n")
        for name, names in shards.items():
            (BAD / folder / name).write_bytes(
                pack(",".join(entry(n, offsets=f"[{8 * i},{8 * i + 8}]") for i, n in enumerate(names)), 8 * len(names)))
        EXPECTED.append({"file": f"{folder}/model.safetensors.index.json", "rule": rule, "offset": 0, "name": key})

    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    index("index_without_map", {}, {}, 14, "weight_map", text="{}")
    index("index_not_json", {}, {}, 14, text='{"weight_map":')
    index("index_not_string", {"a": 1}, {}, 14, "a")
    index("index_outside", {"a": "../hole.safetensors"}, {}, 14, "a")
    index("index_missing_shards", {"a": one, "b": two}, {one: ["a"]}, 15, two)
    index("index_tensor_missing", {"a": one, "b": one}, {one: ["a"]}, 16, "b")
    index("index_tensor_elsewhere", {"a": one, "b": one}, {one: ["a"], two: ["b"]}, 16, "b")
    index("index_tensor_unlisted", {"a": one}, {one: ["a", "b"]}, 16, "b")
    index("index_shards_swapped", {"a": two, "b": one}, {one: ["a"], two: ["b"]}, 16, "b")


for folder in [GOOD, BAD]:
    folder.mkdir(parents=True, exist_ok=True)
good()
bads()
(BAD / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
