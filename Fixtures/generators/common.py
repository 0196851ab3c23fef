"""What several generators share: files with their answers beside them, protobuf's bytes, TensorFlow's tables."""

import pathlib
import struct

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
MASK = 2**64 - 1


def save_answer(folder, name, tensors, kind="answer"):
    """FILE.answer.safetensors: what the file holds, in C order."""
    import numpy as np
    from safetensors.numpy import save_file

    save_file({k: np.array(v, order="C", copy=True) for k, v in tensors.items()}, folder / f"{name}.{kind}.safetensors")


def normal(random, *shape):
    import numpy as np

    return random.standard_normal(shape).astype(np.float32)


def varint(value):
    out = b""
    value &= MASK
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A protobuf field: a number, or the bytes of text or of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class Table:
    """A table of LevelDB's kind, which TensorFlow's index is: put blocks, then finish."""

    def __init__(self, compress=None, restart_interval=1 << 30):
        self.bytes, self.compress, self.restart_interval = b"", compress, restart_interval

    def put(self, rows):
        """Keys and values as a block; its handle."""
        out, restarts, last = b"", [], b""
        for index, (key, value) in enumerate(rows):
            shared = 0
            if index % self.restart_interval == 0:
                restarts.append(len(out))
            else:
                while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                    shared += 1
            out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            last = key
        restarts = restarts or [0]
        out += struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))
        stored = self.compress(out) if self.compress else out
        handle = varint(len(self.bytes)) + varint(len(stored))
        self.bytes += stored + (b"\1" if self.compress else b"\0") + bytes(4)
        return handle

    def finish(self, rows):
        """The index of blocks, and the footer."""
        meta = self.put([])
        index = self.put(rows)
        return self.bytes + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
