"""Writes Fixtures/pytorch without PyTorch: its names are stood in for, and Python's pickle writes what torch.save would.

    python make_pytorch_fixtures.py

bad/expected.json says for every bad file the rule it breaks (of Formats/Specs/pytorch.md or archives.md), where (a byte
offset), and the tensor, entry or key concerned.
"""

import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent / "pytorch"
GOOD, BAD = ROOT / "good", ROOT / "bad"

# Stand-ins under PyTorch's names, so that pickle spells them as PyTorch's files do.


def module(name):
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = ".".join(parts[:count])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
            if count > 1:
                setattr(sys.modules[".".join(parts[: count - 1])], parts[count - 1], sys.modules[path])
    return sys.modules[name]


def named(path, kind=type):
    """Something that pickle writes as GLOBAL `path`."""
    owner, name = path.rsplit(".", 1)
    if kind is type:
        value = type(name, (), {"__module__": owner})
    else:
        def value(*arguments):
            raise AssertionError("never called")
        value.__module__, value.__name__, value.__qualname__ = owner, name, name
    setattr(module(owner), name, value)
    return value


STORAGES = {
    name: named(f"torch.{name}Storage")
    for name in ["Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool"]
}
UNTYPED = named("torch.storage.UntypedStorage")
REBUILD, REBUILD_3, REBUILD_1 = (
    named(f"torch._utils._rebuild_tensor{suffix}", "function") for suffix in ["_v2", "_v3", ""])
PARAMETER = named("torch._utils._rebuild_parameter", "function")
FROM_TYPE = named("torch._tensor._rebuild_from_type_v2", "function")
TENSOR, SIZE = named("torch.Tensor"), named("torch.Size")
WIDTHS = {"Float": 4, "Half": 2, "BFloat16": 2, "Double": 8, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1}


class Storage:
    """The bytes are 0, 1, 2, …: what a tensor reads tells where it read."""

    def __init__(self, key, kind, count, width=None):
        self.key, self.kind, self.count = str(key), kind, count
        self.data = bytes(index % (2 if kind == "Bool" else 256) for index in range(count * (width or WIDTHS.get(kind, 1))))


class Call:
    """Pickles as a call that was not made."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) + (() if state is None else (state,))

    def __reduce__(self):
        return self.parts


def tensor(storage, shape, strides=None, offset=0):
    if strides is None:
        strides, step = [], 1
        for axis in reversed(shape):
            strides.insert(0, step)
            step *= axis
    return Call(REBUILD, storage, offset, tuple(shape), tuple(strides), False, collections.OrderedDict())


class Pickler(pickle._Pickler):
    """Python's own, in Python, so that stand-ins for types need not be importable twice."""

    view = ()

    def persistent_id(self, value):
        if isinstance(value, Storage):
            kind = STORAGES.get(value.kind, UNTYPED)
            return ("storage", kind, value.key, "cpu", value.count) + self.view
        return None


def pickled(value, protocol=2, view=()):
    out = io.BytesIO()
    pickler = Pickler(out, protocol)
    pickler.view = view
    pickler.dump(value)
    return out.getvalue()


def storages_in(value, found=None):
    found = {} if found is None else found
    if isinstance(value, Storage):
        found[value.key] = value
    elif isinstance(value, Call):
        storages_in(value.parts[1], found)
    elif isinstance(value, dict):
        for item in value.values():
            storages_in(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            storages_in(item, found)
    return found


def archive(entries, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in entries:
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return bytearray(out.getvalue())


def zipped(value, protocol=2, folder="archive", byteorder=b"little", pickle_bytes=None, skip=()):
    entries = [(f"{folder}/data.pkl", pickle_bytes or pickled(value, protocol)), (f"{folder}/byteorder", byteorder)]
    entries += [(f"{folder}/data/{key}", item.data) for key, item in storages_in(value).items() if key not in skip]
    return archive(entries + [(f"{folder}/version", b"3\n")])


def legacy(value, little=True, counts=None, view=(None,)):
    out = pickled(0x1950A86A20F9469CFC6C) + pickled(1001)
    out += pickled({"protocol_version": 1001, "little_endian": little, "type_sizes": {"short": 2, "int": 4, "long": 4}})
    storages = storages_in(value)
    out += pickled(value, view=view) + pickled(list(storages))
    for key, item in storages.items():
        out += struct.pack("<q", item.count if counts is None else counts) + item.data
    return out


def model():
    """Every type, and every way in which a tensor can lie in its storage."""
    entries = collections.OrderedDict()
    for key, kind in enumerate(STORAGES):
        entries[f"every.{kind.lower()}"] = tensor(Storage(key, kind, 6), [2, 3])
    shared = Storage("shared", "Int", 24)
    entries["view.transposed"] = tensor(shared, [4, 6], [1, 4])
    entries["view.permuted"] = tensor(shared, [2, 3, 4], [4, 8, 1])
    entries["view.columns"] = tensor(shared, [4, 2], [6, 1], 3)
    entries["view.tied"] = tensor(shared, [4, 6])
    entries["view.reversed_vector"] = tensor(shared, [4], [6])
    entries["view.one_row"] = tensor(shared, [1, 4], [999, 1], 20)
    entries["scalar"] = tensor(Storage("scalar", "Float", 1), [])
    entries["empty"] = tensor(Storage("empty", "Half", 0), [0, 4])
    entries["parameter"] = Call(PARAMETER, tensor(Storage("parameter", "Float", 2), [2]), True, collections.OrderedDict())
    entries["from_type"] = Call(FROM_TYPE, REBUILD, TENSOR, tensor(Storage("ft", "Float", 2), [2]).parts[1], {})
    entries["size_object"] = Call(
        REBUILD, Storage("so", "Float", 2), 0, Call(SIZE, (2,)), (1,), False, collections.OrderedDict())
    return entries


def good():
    entries = model()
    (GOOD / "legacy.bin").write_bytes(legacy(entries))
    (GOOD / "legacy_views.bin").write_bytes(legacy(
        {"view": Call(REBUILD_1, Storage("root", "Float", 8), 1, (2,), (1,))}, view=(("view", 4, 4),)))
    for name in ["float8_e4m3fn", "uint16"]:
        width = 2 if name == "uint16" else 1
        storage = Storage(name, "Untyped", 6 * width)
        entries[f"v3.{name}"] = Call(
            REBUILD_3, storage, 0, (2, 3), (3, 1), False, collections.OrderedDict(), named(f"torch.{name}"))
    entries["step"], entries["rate"], entries["note"], entries["done"] = 7, 0.5, "h\u00e9", True
    entries["config"] = {"a": [1, 2, (3, None)]}
    (GOOD / "zip.bin").write_bytes(zipped(entries))
    (GOOD / "protocol_4.bin").write_bytes(zipped(entries, 4, "pytorch_model"))
    inner = collections.OrderedDict(weight=tensor(Storage(0, "Float", 4), [2, 2]))
    (GOOD / "training.bin").write_bytes(zipped({"epoch": 3, "optimizer": {}, "state_dict": inner}))
    shards = {
        "pytorch_model-00001-of-00002.bin": {"a.weight": tensor(Storage(0, "Float", 6), [2, 3])},
        "pytorch_model-00002-of-00002.bin": {"b.weight": tensor(Storage(0, "Half", 6), [2, 3])},
    }
    for name, content in shards.items():
        (GOOD / name).write_bytes(zipped(collections.OrderedDict(content)))
    places = {key: name for name, content in shards.items() for key in content}
    (GOOD / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {"total_size": 36}, "weight_map": places}, indent=2) + "\n")


EXPECTED = []


def bad(name, rule, data, offset=0, key=""):
    (BAD / f"{name}.bin").write_bytes(data)
    EXPECTED.append({"file": f"{name}.bin", "rule": rule, "offset": offset, "name": key})


def bads():
    one = {"t": tensor(Storage(0, "Float", 4), [2, 2])}
    whole = zipped(one)
    end = len(whole) - 22
    directory = struct.unpack_from("<I", whole, end + 16)[0]
    bad("not_pytorch", "PYTORCH-1", b"hello, world")
    bad("not_pytorch_tar", "PYTORCH-1", b"\0" * 257 + b"ustar" + b"\0" * 250)
    bad("not_pytorch_pickle", "PYTORCH-1", pickled({"a": 1}))
    bad("not_pytorch_version", "PYTORCH-1", pickled(0x1950A86A20F9469CFC6C) + pickled(1002))
    bad("big_endian", "PYTORCH-2", zipped(one, byteorder=b"big"))
    bad("big_endian_legacy", "PYTORCH-2", legacy(one, little=False))
    bad("missing_pickle", "PYTORCH-3", archive([("archive/version", b"3\n")]), key="single data.pkl")
    bad("missing_storage", "PYTORCH-3", zipped(one, skip=["0"]), key="0")
    bad("no_tensors_list", "PYTORCH-4", zipped([1, 2]))
    bad("no_tensors_empty", "PYTORCH-4", zipped({}))
    bad("no_tensors_other_keys", "PYTORCH-4", zipped({"optimizer": one}))
    few = Call(REBUILD, Storage(0, "Float", 4), 0)
    bad("invalid_tensor_few_arguments", "PYTORCH-5", zipped({"t": few}), key="t")
    bad("invalid_tensor_negative_stride", "PYTORCH-5", zipped({"t": tensor(Storage(0, "Float", 4), [2], [-1])}), key="t")
    bad("invalid_tensor_negative_axis", "PYTORCH-5", zipped({"t": tensor(Storage(0, "Float", 4), [-2], [1])}), key="t")
    bad("invalid_tensor_huge", "PYTORCH-5", zipped({"t": tensor(Storage(0, "Float", 4), [2**40, 2**40], [0, 0])}), key="t")
    unknown = Call(REBUILD_3, Storage(0, "Untyped", 4), 0, (1,), (1,), False, {}, SIZE)
    bad("unknown_type", "PYTORCH-6", zipped({"t": unknown}), key="t")
    bad("unknown_type_untyped", "PYTORCH-6", zipped({"t": tensor(Storage(0, "Untyped", 4), [4])}), key="t")
    bad("out_of_range", "PYTORCH-7", zipped({"t": tensor(Storage(0, "Float", 4), [2, 2], offset=1)}), key="t")
    bad("out_of_range_stride", "PYTORCH-7", zipped({"t": tensor(Storage(0, "Float", 4), [2, 2], [3, 1])}), key="t")
    bad("out_of_range_expanded", "PYTORCH-7", zipped({"t": tensor(Storage(0, "Float", 1), [2**40], [0])}), key="t")
    bad("out_of_range_far", "PYTORCH-7", zipped({"t": tensor(Storage(0, "Float", 4), [2], [1], 2**62)}), key="t")
    lying = Storage(0, "Float", 4)
    lying.count = 5
    bad("out_of_range_storage", "PYTORCH-7", zipped({"t": tensor(lying, [2])}), key="t")
    bad("out_of_range_legacy", "PYTORCH-7", legacy(one, counts=2**40), key="0")
    bad("out_of_range_legacy_cut", "PYTORCH-7", legacy(one)[:-1], key="0")
    call = pickled(one["t"])[2:-1]
    double = b"\x80\x02}(X\x01\0\0\0t" + call + b"X\x01\0\0\0t" + call + b"u."
    bad("invalid_name_twice", "PYTORCH-8", zipped(one, pickle_bytes=double), key="t")
    bad("invalid_name_kind", "PYTORCH-8", zipped({None: one["t"]}))

    def machine(name, number, stream, offset):
        data = zipped(one, pickle_bytes=stream)
        bad("pickle_" + name, f"PICKLE-{number}", data, data.index(stream) + offset)

    machine("truncated", 1, b"\x80\x02}", 3)
    machine("truncated_string", 1, b"\x80\x02X\xff\xff\xff\x7fabc", 7)
    machine("unknown_opcode", 2, b"\x80\x02\xff.", 2)
    machine("unknown_protocol", 2, b"\x80\x09N.", 0)
    machine("refused_opcode", 3, b"\x80\x02(X\x02\0\0\0lsios\nsystem\n.", 10)
    machine("refused_extension", 3, b"\x80\x02\x82\x01.", 2)
    machine("refused_global", 4, b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.", 2)
    machine("refused_global_builtin", 4, b"\x80\x02cbuiltins\neval\n.", 2)
    machine("refused_global_on_stack", 4, b"\x80\x04\x8c\x02os\x8c\x06system\x93.", 14)
    machine("empty_stack", 5, b"\x80\x02.", 2)
    machine("stack_underflow", 5, b"\x80\x02R.", 2)
    machine("pop_below_mark", 5, b"\x80\x02N(0.", 4)
    machine("odd_pairs", 5, b"\x80\x02}(Nu.", 5)
    machine("append_to_number", 5, b"\x80\x02K\x01Na.", 5)
    machine("two_values", 5, b"\x80\x02NN.", 4)
    machine("missing_memo", 6, b"\x80\x02h\x05.", 2)
    machine("invalid_literal", 7, b"\x80\x02I12x\n.", 2)

    bad("zip_not_an_archive", "ZIP-1", whole[:-30])
    bad("zip_empty", "ZIP-1", b"PK")
    changed = bytearray(whole)
    struct.pack_into("<H", changed, end + 8, 3)
    struct.pack_into("<H", changed, end + 10, 3)
    record = directory
    for _ in range(3):
        record += 46 + sum(struct.unpack_from("<HHH", changed, record + 28))
    bad("zip_directory_unfinished", "ZIP-2", changed, record)
    changed = bytearray(whole)
    struct.pack_into("<I", changed, end + 16, 2**31)
    bad("zip_directory_past_end", "ZIP-2", changed, end)
    changed = bytearray(whole)
    struct.pack_into("<HH", changed, end + 8, 60000, 60000)
    bad("zip_directory_count", "ZIP-2", changed, end)
    changed = bytearray(whole)
    changed[directory] = 0
    bad("zip_directory_no_record", "ZIP-2", changed, directory)
    changed = bytearray(whole)
    struct.pack_into("<I", changed, directory + 24, 2**32 - 1)
    bad("zip_directory_no_zip64", "ZIP-2", changed, directory)
    twice = archive([("archive/data.pkl", b"N."), ("archive/data.pkX", b"N.")])
    twice = twice.replace(b"data.pkX", b"data.pkl")
    bad("zip_name_twice", "ZIP-3", twice, twice.rindex(b"PK\1\2"), "archive/data.pkl")
    changed = bytearray(whole)
    changed[2] = 0
    bad("zip_no_local_header", "ZIP-4", changed, 0, "archive/data.pkl")
    changed = bytearray(whole)
    changed[30] ^= 1
    bad("zip_other_name", "ZIP-4", changed, 0, "archive/data.pkl")
    changed = bytearray(whole)
    struct.pack_into("<II", changed, directory + 20, 2**31, 2**31)
    bad("zip_entry_past_directory", "ZIP-4", changed, 0, "archive/data.pkl")
    changed = bytearray(whole)
    struct.pack_into("<I", changed, directory + 42, 2**31)
    bad("zip_header_past_directory", "ZIP-4", changed, 2**31, "archive/data.pkl")
    squeezed = archive([("archive/data.pkl", pickled(one) * 4)], zipfile.ZIP_DEFLATED)
    bad("zip_compressed", "ZIP-5", squeezed, squeezed.rindex(b"PK\1\2"), "archive/data.pkl")
    changed = bytearray(whole)
    changed[directory + 8] |= 1
    bad("zip_encrypted", "ZIP-5", changed, directory, "archive/data.pkl")
    changed = bytearray(whole)
    struct.pack_into("<H", changed, end + 4, 1)
    bad("zip_volumes", "ZIP-5", changed, end)
    changed = zipped(one, byteorder=b"l" * 65)
    bad("zip_limit", "ZIP-6", changed, changed.index(b"llll"))

    def index(folder, places, shards, rule, key=""):
        (BAD / folder).mkdir(exist_ok=True)
        (BAD / folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}) + "\n")
        for name, names in shards.items():
            content = {item: tensor(Storage(number, "Float", 1), [1]) for number, item in enumerate(names)}
            (BAD / folder / name).write_bytes(zipped(content))
        EXPECTED.append({"file": f"{folder}/pytorch_model.bin.index.json", "rule": rule, "offset": 0, "name": key})

    index("index_outside", {"a": "/etc/passwd"}, {}, "PYTORCH-10", "a")
    index("index_missing_shards", {"a": "1.bin", "b": "2.bin"}, {"1.bin": ["a"]}, "PYTORCH-11", "2.bin")
    index("index_tensor_unlisted", {"a": "1.bin"}, {"1.bin": ["a", "b"]}, "PYTORCH-12", "b")


for folder in [GOOD, BAD]:
    folder.mkdir(parents=True, exist_ok=True)
good()
bads()
(BAD / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
