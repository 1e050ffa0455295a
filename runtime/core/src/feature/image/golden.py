"""Writes golden.txt: pictures as Pillow resizes them (Python, Pillow 13, NumPy).

Usage: python3 golden.py > golden.txt
One line a picture: the filter, width and height before, width and height after, the pixels after in
hexadecimal. The picture before is that of `tests.rs`.
"""

import numpy as np
from PIL import Image

for size, to in [
    ((7, 5), (4, 9)),
    ((13, 6), (5, 3)),
    ((3, 3), (8, 8)),
    ((40, 2), (3, 2)),
    ((1, 9), (1, 4)),
    ((6, 6), (6, 5)),
    ((9, 30), (6, 8)),
]:
    width, height = size
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    pixels = ((x * x * 37 + y * 91 + c * 53 + x * y * 11) % 256).astype(np.uint8)
    for name in ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos"):
        after = Image.fromarray(pixels).resize(to, Image.Resampling[name.upper()])
        print(name, width, height, *to, after.tobytes().hex())
