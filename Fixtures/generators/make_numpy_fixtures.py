"""Writes Fixtures/numpy with NumPy: python make_numpy_fixtures.py

bad/expected.json says for every bad file the rule it breaks (of Formats/Specs/numpy.md or archives.md), where (a byte
offset), and the array concerned.
"""

import io
import json
import pathlib
import struct
import zipfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent / "numpy"
GOOD, BAD = ROOT / "good", ROOT / "bad"
EXPECTED = []


def archive(entries, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in entries:
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return out.getvalue()


def npy(array, version=None):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, version=version, allow_pickle=False)
    return out.getvalue()


def raw(header, data=b"", version=(1, 0), length=None):
    header = header.encode()
    length = len(header) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", length) + header + data


def good():
    types = ["f4", "f2", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
    entries = [(f"every.{numpy.dtype(kind).str[1:]}.npy", npy(numpy.arange(6).reshape(2, 3).astype(kind))) for kind in types]
    entries.append(("fortran.npy", npy(numpy.asfortranarray(numpy.arange(24, dtype="<i4").reshape(2, 3, 4)))))
    entries.append(("scalar.npy", npy(numpy.float32(7))))
    entries.append(("empty.npy", npy(numpy.zeros((0, 4), "<f4"))))
    entries.append(("version_2.npy", npy(numpy.arange(3, dtype="<i2"), (2, 0))))
    entries.append(("folder/vector.npy", npy(numpy.arange(5, dtype="<f4"))))
    entries.append(("python_2.npy", raw("{'descr': '<i4', 'shape': (2L, 1L), 'fortran_order': False}", bytes(range(8)))))
    (GOOD / "every_type.npz").write_bytes(archive(entries))
    (GOOD / "matrix.npy").write_bytes(npy(numpy.arange(6, dtype="<f4").reshape(2, 3)))


def bad(name, rule, data, offset, key=""):
    (BAD / name).write_bytes(data)
    EXPECTED.append({"file": name, "rule": rule, "offset": offset, "name": key})


def bads():
    fine = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    bad("not_numpy.npy", "NUMPY-1", b"hello, world", 0)
    bad("not_numpy_version.npy", "NUMPY-1", raw(fine, bytes(8), (4, 0)), 0)
    bad("truncated_length.npy", "NUMPY-2", raw(fine, version=(2, 0))[:11], 0)
    bad("truncated_header.npy", "NUMPY-2", raw(fine, length=4000), 0)
    bad("truncated_huge.npy", "NUMPY-2", raw(fine, version=(2, 0), length=2**32 - 1), 0)

    def header(name, text, fault):
        data = raw(text, bytes(8))
        bad(f"header_{name}.npy", "NUMPY-3", data, fault if isinstance(fault, int) else data.rindex(fault.encode()))

    header("no_dictionary", "[]", 10)
    header("key_missing", "{'descr': '<f4', 'shape': (2,)}", 10)
    header("key_unknown", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "'x'")
    header("key_twice", "{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", "'descr'")
    header("string_open", "{'descr': '<f4}", "<f4}")
    header("order", "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}", "Maybe")
    header("axis_negative", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "-2")
    header("axis_too_long", "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "9223")
    header("record", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "[(")
    header("trailing", fine + " x", "x")
    for name, kind in [("byte_order", "=f4"), ("object", "|O"), ("complex", "<c8"), ("text", "<U4")]:
        bad(f"unknown_type_{name}.npy", "NUMPY-4", raw(fine.replace("<f4", kind), bytes(8)), 10)
    bad("shape_too_large.npy", "NUMPY-5", raw(fine.replace("(2,)", "(4294967296, 4294967296)"), bytes(8)), 10)
    bad("shape_axes.npy", "NUMPY-5", raw(fine.replace("(2,)", "(" + "1, " * 17 + ")"), bytes(4)), 10)
    bad("size_mismatch.npy", "NUMPY-6", raw(fine, bytes(7)), 10 + len(fine))
    bad("size_mismatch_long.npy", "NUMPY-6", raw(fine, bytes(9)), 10 + len(fine))
    data = archive([("a.npy", raw(fine, bytes(4)))])
    bad("size_mismatch_in_archive.npz", "NUMPY-6", data, 30 + 5 + 10 + len(fine), "a")
    data = archive([("a.npy", raw(fine, bytes(8))), ("b.txt", b"hello")])
    bad("invalid_entry.npz", "NUMPY-7", data, data.rindex(b"PK\1\2"), "b.txt")
    data = archive([("a.npy", raw(fine, bytes(8)))], zipfile.ZIP_BZIP2)
    bad("compressed_bzip2.npz", "ZIP-5", data, data.rindex(b"PK\1\2"), "a.npy")


for folder in [GOOD, BAD]:
    folder.mkdir(parents=True, exist_ok=True)
good()
bads()
(BAD / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
