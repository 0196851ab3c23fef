"""Adds to Fixtures/containers what is compressed or indexed in newer ways, by the libraries that do so, and beside each
file FILE.answer.safetensors with the tensors that it holds.

    python make_expanded_fixtures.py

Needs numpy, safetensors, h5py (1.14 or later of HDF5), zstandard and cramjam (Snappy).
"""

import io
import pickle
import struct

import cramjam
import h5py
import numpy as np
import zstandard

from common import FIXTURES, Table, field, normal, save_answer

ROOT = FIXTURES / "containers"
random = np.random.default_rng(23)


def f32(*shape):
    return normal(random, *shape)


def answer(name, tensors):
    save_answer(ROOT, name, tensors)


def hdf5_indices(name, libver):
    """One dataset for every index of chunks, and groups whose links lie in a fractal heap."""
    tensors = {}
    with h5py.File(ROOT / name, "w", libver=libver) as file:
        def put(name, value, **options):
            tensors[name] = value
            return file.create_dataset(name, data=value, **options)

        put("single", f32(3, 5), chunks=(3, 5))
        put("single_gzip", f32(6, 5), chunks=(6, 5), compression="gzip", shuffle=True)
        put("fixed", f32(20, 9), chunks=(4, 4))
        put("fixed_gzip", np.round(f32(20, 9)), chunks=(4, 4), compression="gzip")
        put("fixed_lzf", np.round(f32(40, 9)), chunks=(16, 9), compression="lzf", fletcher32=True)
        put("fixed_grows", f32(5, 7), chunks=(2, 3), maxshape=(11, 10))
        # More than 1024 chunks are listed in pages.
        put("fixed_paged", np.arange(1100 * 2, dtype=np.uint8).reshape(1100, 2), chunks=(1, 2))
        put("extensible", f32(13, 9), chunks=(2, 4), maxshape=(None, 9))
        put("extensible_second", f32(3, 13, 4), chunks=(2, 2, 3), maxshape=(3, None, 6))
        put("extensible_gzip", np.round(f32(50, 4)), chunks=(1, 4), maxshape=(None, 4), compression="gzip")
        put("tree", f32(9, 8), chunks=(4, 3), maxshape=(None, None))
        put("tree_gzip", np.round(f32(30, 30)), chunks=(1, 2), maxshape=(None, None), compression="gzip")
        filled = file.create_dataset("filled", (6, 4), np.float32, fillvalue=1.5)
        sparse = file.create_dataset("sparse", (10, 6), np.int16, chunks=(3, 4), fillvalue=-7)
        sparse[4, 5] = 9
        tensors["filled"], tensors["sparse"] = filled[()], sparse[()]
        for number in range(40):
            put(f"many/layer_{number}/kernel", f32(2, 3))
        file["named_type"] = np.dtype("<f4")
        tensors["typed"] = f32(4)
        file.create_dataset("typed", data=tensors["typed"], dtype=file["named_type"])
        file.attrs["backend"] = "jax"
    answer(name, tensors)


def hdf5_early():
    tensors = {}
    with h5py.File(ROOT / "early.h5", "w", libver="earliest") as file:
        sparse = file.create_dataset("sparse", (7, 9), np.float64, chunks=(2, 4), fillvalue=0.25, maxshape=(None, None))
        sparse[3, :5] = 2
        tensors["sparse"] = sparse[()]
        tensors["lzf"] = np.round(f32(30, 20))
        file.create_dataset("lzf", data=tensors["lzf"], compression="lzf", shuffle=True)
        for number in range(60):
            tensors[f"g/{number}"] = np.array([number], np.int32)
            file.create_dataset(f"g/{number}", data=tensors[f"g/{number}"])
    answer("early.h5", tensors)


def hdf5_implicit():
    """Space that is allocated when the dataset is made needs no index."""
    value = f32(7, 5)
    with h5py.File(ROOT / "implicit.h5", "w", libver="latest") as file:
        options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        options.set_chunk((3, 2))
        options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple(value.shape)
        h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F32LE, space, options).write(h5py.h5s.ALL, h5py.h5s.ALL, value)
    answer("implicit.h5", {"implicit": value})


def compressed_npz():
    arrays = {"w": np.round(f32(700, 60) * 8).astype(np.float16), "fortran": np.asfortranarray(np.round(f32(40, 33))),
              "zeros": np.zeros((64, 1024), np.float32), "noise": f32(3, 7), "one": np.array(3, np.int64)}
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    (ROOT / "deflated.npz").write_bytes(out.getvalue())
    answer("deflated.npz", arrays)


def big_endian():
    """As machines of the other byte order write numbers; the same values in ours."""
    types = ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8")
    arrays = {kind: (random.standard_normal((4, 6)) * 50).astype(">" + kind) for kind in types}
    arrays["fortran"] = np.asfortranarray(arrays["f4"] + 1).astype(">f4", order="F")
    native = {name: value.astype(value.dtype.newbyteorder("=")) for name, value in arrays.items()}
    np.savez(ROOT / "big-endian.npz", **arrays)
    answer("big-endian.npz", native)
    (ROOT / "big-endian.pdparams").write_bytes(pickle.dumps(arrays, protocol=4))
    answer("big-endian.pdparams", native)
    with h5py.File(ROOT / "big-endian.h5", "w") as file:
        for name, value in arrays.items():
            file[name] = value
        file.create_dataset("chunks", data=arrays["f4"], chunks=(3, 2), compression="gzip", shuffle=True)
        file.create_dataset("unwritten", (2, 3), ">f4", fillvalue=1.5)
    with h5py.File(ROOT / "big-endian.h5") as file:
        answer("big-endian.h5", {name: value[()].astype(value.dtype.newbyteorder("=")) for name, value in file.items()})


def zstd_files():
    """A frame that does not state its length, then two that do, one of them empty, and a skippable one."""
    tensors = {f"t{index}": np.round(f32(9, 50) * 4) for index in range(12)}
    plain = io.BytesIO()
    np.savez(plain, **tensors)
    data = plain.getvalue()
    third = len(data) // 3
    stream = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
    frames = stream.compress(data[:third]) + stream.flush()
    frames += struct.pack("<II", 0x184D2A50, 5) + b"aside"
    frames += zstandard.compress(data[third:third + 1]) + zstandard.compress(b"") + zstandard.compress(data[third + 1:])
    (ROOT / "frames.npz.zst").write_bytes(frames)
    answer("frames.npz.zst", tensors)


def snappy_index():
    """A TensorFlow index whose blocks are compressed by Snappy, as TensorFlow before 2 could be built to write them."""
    tensors = {f"model/layer_{index}/kernel/.ATTRIBUTES/VARIABLE_VALUE": f32(3, 2 + index) for index in range(20)}
    data, entries = b"", [(b"", field(1, 1))]
    for name, value in sorted(tensors.items()):
        shape = b"".join(field(2, field(1, size)) for size in value.shape)
        entries.append((name.encode(), field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, value.nbytes)))
        data += value.tobytes()

    table = Table(lambda block: bytes(cramjam.snappy.compress_raw(block)), restart_interval=16)
    index = table.finish([(entries[-1][0], table.put(entries))])
    (ROOT / "snappy.index").write_bytes(index)
    (ROOT / "snappy.data-00000-of-00001").write_bytes(data)
    answer("snappy.index", tensors)


# HDF5 2 lays compressed chunks out in another version than those before.
hdf5_indices("latest.h5", "latest")
hdf5_indices("v110.h5", ("v110", "v110"))
for make in (hdf5_early, hdf5_implicit, compressed_npz, zstd_files, snappy_index, big_endian):
    make()
