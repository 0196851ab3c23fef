"""usage: make_codec_grids.py > Sources/CKernels/codec_grids.c      (needs numpy and gguf 0.19 from PyPI)

The lattice points of ggml's IQ1, IQ2 and IQ3 formats, which are part of those formats, as one 16-bit code per point:
element i of a point is level (code >> i · width) & mask, its value levels[level]. For the encoders also the runs of
points that share their upper half, the longest first: the codes ascend, so a run lies together.
"""
import numpy as np
import gguf.quants as q

GRIDS = [  # name, class, bits per element, levels
    ("iq2_xxs", q.IQ2_XXS, 2, [8, 25, 43]),
    ("iq2_xs", q.IQ2_XS, 2, [8, 25, 43]),
    ("iq2_s", q.IQ2_S, 2, [8, 25, 43]),
    ("iq3_xxs", q.IQ3_XXS, 3, [4, 12, 20, 28, 36, 44, 52, 62]),
    ("iq3_s", q.IQ3_S, 3, [1, 3, 5, 7, 9, 11, 13, 15]),
    ("iq1", q.IQ1_S, 2, [-1, 0, 1]),
]

print("// Written by Fixtures/generators/make_codec_grids.py: the lattice points of the IQ formats (see ckernels_grids.h).")
print('#include "include/ckernels_grids.h"')
for name, kind, width, levels in GRIDS:
    kind.init_grid()
    points = np.asarray(kind.grid).reshape(-1, kind.grid_shape[1]).astype(int)
    codes = [sum(levels.index(v) << width * i for i, v in enumerate(point)) for point in points]
    print(f"\nconst uint16_t quern_grid_{name}[{len(codes)}] = {{")
    for i in range(0, len(codes), 16):
        print("    " + ", ".join(f"0x{c:04x}" for c in codes[i:i + 16]) + ",")
    print("};")
    if name == "iq1":
        continue
    half = width * len(points[0]) // 2
    uppers = [c >> half for c in codes]
    assert codes == sorted(codes)
    runs = [(uppers.index(upper), uppers.count(upper), upper) for upper in sorted(set(uppers))]
    runs.sort(key=lambda run: -run[1])
    print(f"const quern_grid_run quern_grid_runs_{name}[{len(runs)}] = {{")
    for i in range(0, len(runs), 8):
        print("    " + ", ".join("{%d, %d, 0x%02x}" % run for run in runs[i:i + 8]) + ",")
    print("};")
