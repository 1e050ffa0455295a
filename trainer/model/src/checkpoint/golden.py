"""Writes golden.pth and golden.txt: a small torch file, and what torch itself finds in it.

Usage: python3 golden.py (torch 2.15.0); both files are written beside this one.
One line a tensor of golden.txt: name, type, shape, values; numbers as Python writes them.
"""

from collections import OrderedDict
from pathlib import Path

import torch

here = Path(__file__).parent
counted = torch.arange(12, dtype=torch.float32) / 4 - 1
matrix = counted.reshape(3, 4)
cube = torch.arange(12, dtype=torch.int16).reshape(2, 3, 2)

state = OrderedDict()
state["parameter"] = torch.nn.Parameter(torch.tensor([1.5, float("-inf")]))
state["shared.whole"] = matrix
state["shared.transposed"] = matrix.t()
state["shared.rows"] = matrix[1:]
state["shared.column"] = matrix[:, 2:3]
state["shared.every_other"] = matrix[:, 1::2]
state["permuted"] = cube.permute(2, 0, 1)
state["bf16"] = torch.tensor([1.0, -2.5, 3.140625], dtype=torch.bfloat16)
state["f16"] = torch.tensor([0.1, 65504.0, 6e-8], dtype=torch.float16)
state["f64"] = torch.tensor([0.1, 1e300], dtype=torch.float64)
state["number"] = torch.tensor(20.0)
state["i64"] = torch.tensor([[-(2**62), 2**40]])
state["u8"] = torch.tensor([0, 255], dtype=torch.uint8)
state["bool"] = torch.tensor([True, False])
state["empty"] = torch.zeros(0, 3)
saved = {"epoch": 3, "rate": 0.5, "name": "golden", "history": [1, None], "state_dict": state}
torch.save(saved, here / "golden.pth")

with open(here / "golden.txt", "w") as out:
    for name, tensor in state.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        shape = ",".join(map(str, tensor.shape))
        values = " ".join(repr(value) for value in tensor.detach().flatten().tolist())
        out.write(f"{name}\t{kind}\t{shape}\t{values}\n")
