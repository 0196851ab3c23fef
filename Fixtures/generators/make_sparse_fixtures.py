"""Writes Fixtures/sparse/files.json: checkpoints of a hundred gigabytes, as their size and the few bytes that are not
zero, for tests that must not depend on what the weights are.

    python make_sparse_fixtures.py

Needs h5py and onnx; the others are written here by their documented layouts.
"""

import json
import os
import pathlib
import struct
import tempfile

import h5py
import onnx
from onnx import TensorProto, helper

from common import FIXTURES, Table, field

ROOT = FIXTURES / "sparse"
ROWS, COLUMNS = 1 << 20, 25600
BYTES = ROWS * COLUMNS * 4
CASES = []


def case(name, *files):
    """files: name, size, [(offset, bytes)]; the first is opened."""
    CASES.append({"name": name, "files": [
        {"name": file, "byteCount": size, "pieces": [{"offset": at, "hex": data.hex()} for at, data in pieces]}
        for file, size, pieces in files]})


def pytorch():
    text = lambda value: b"X" + struct.pack("<I", len(value)) + value
    number = lambda value: b"\x8a\x05" + value.to_bytes(5, "little")
    pickle = b"\x80\x02}" + text(b"a") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage")
    pickle += b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + number(ROWS * COLUMNS) + b"tQK\0"
    pickle += number(ROWS) + number(COLUMNS) + b"\x86" + number(COLUMNS) + b"K\1\x86\x89ccollections\nOrderedDict\n)RtRs."
    pieces, directory, at = [], b"", 0
    for name, size, data in ((b"m/data.pkl", len(pickle), pickle), (b"m/data/0", BYTES, b""), (b"m/version", 2, b"3\n")):
        pieces.append((at, struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name + data))
        wide = struct.pack("<HHQQQ", 1, 24, size, size, at)
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name),
                                 len(wide), 0, 0, 0, 0, 0xFFFFFFFF) + name + wide
        at += 30 + len(name) + size
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 3, 3, len(directory), at)
    end += struct.pack("<IIQI", 0x07064B50, 0, at + len(directory), 1)
    end += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 3, 3, len(directory), 0xFFFFFFFF, 0)
    pieces.append((at, directory + end))
    case("PyTorch", ("model.pt", at + len(directory) + len(end), pieces))


def external_onnx():
    tensor = TensorProto(name="a", data_type=TensorProto.FLOAT, dims=[ROWS, COLUMNS], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(BYTES))):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph([], "g", [], [helper.make_tensor_value_info("y", 1, None)], [tensor])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    case("ONNX", ("model.onnx", len(data), [(0, data)]), ("weights.bin", BYTES, []))


def tensorflow():
    shape = field(2, field(1, ROWS)) + field(2, field(1, COLUMNS))
    table = Table()
    data = table.put([(b"", field(1, 1)), (b"a", field(1, 1) + field(2, shape) + field(4, 0) + field(5, BYTES))])
    index = table.finish([(b"a", data)])
    case("TensorFlow", ("model.index", len(index), [(0, index)]), ("model.data-00000-of-00001", BYTES, []))


def hdf5():
    """Space that is taken at once and never filled: the library leaves a hole."""
    path = pathlib.Path(tempfile.mkdtemp()) / "model.h5"
    with h5py.File(path, "w") as file:
        options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((ROWS, COLUMNS)), options)
    pieces, size = [], path.stat().st_size
    with open(path, "rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            pieces.append((at, os.pread(file.fileno(), end - at, at).rstrip(b"\0")))
            at = end
    path.unlink()
    case("HDF5", ("model.h5", size, pieces))


ROOT.mkdir(exist_ok=True)
for make in (pytorch, external_onnx, tensorflow, hdf5):
    make()
(ROOT / "files.json").write_text(json.dumps(CASES, indent=1) + "\n")
