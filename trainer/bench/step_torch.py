"""The training step of `trainer/model/examples/step_speed.rs` in PyTorch.

step_torch.py [STEPS] [BATCH] [plain]: prints a line a step, after two to warm up: CPU seconds,
seconds, loss. Attention is scaled_dot_product_attention, or products and a softmax with `plain`.
"""

import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

DIM, HEADS, BLOCKS, OUT, SAMPLES, PATCH = 128, 4, 4, 512, 2000, 8


class Block(nn.Module):
    def __init__(self, plain):
        super().__init__()
        self.plain = plain
        self.norm_1, self.norm_2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv, self.out = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.fc1, self.fc2 = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, x):
        batch, tokens, _ = x.shape
        packed = self.qkv(self.norm_1(x)).view(batch, tokens, 3, HEADS, DIM // HEADS)
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        if self.plain:
            y = torch.softmax(q @ k.transpose(-1, -2) / (DIM // HEADS) ** 0.5, -1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(batch, tokens, DIM))
        return x + self.fc2(F.gelu(self.fc1(self.norm_2(x))))


class Encoder(nn.Module):
    def __init__(self, plain):
        super().__init__()
        self.stem, self.stem_norm = nn.Linear(6 * PATCH, DIM, bias=False), nn.LayerNorm(DIM)
        self.token = nn.Parameter(torch.randn(1, 1, DIM) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, SAMPLES // PATCH + 1, DIM) * 0.01)
        self.blocks = nn.Sequential(*(Block(plain) for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, OUT, bias=False)

    def forward(self, x):
        batch = len(x)
        x = x.view(batch, 6, SAMPLES // PATCH, PATCH).transpose(1, 2).flatten(2)
        x = self.stem_norm(self.stem(x))
        x = torch.cat([self.token.expand(batch, 1, DIM), x], 1) + self.positions
        return F.normalize(self.head(self.norm(self.blocks(x)[:, 0])), dim=-1)


def main():
    torch.set_num_threads(int(os.environ.get("RAYON_NUM_THREADS", "1")))
    torch.manual_seed(0)
    words = [word for word in sys.argv[1:] if word != "plain"]
    steps, batch = [int(word) for word in (words + ["10", "64"][len(words):])[:2]]
    encoder = Encoder("plain" in sys.argv)
    optimizer = torch.optim.AdamW(encoder.parameters(), 1e-3, weight_decay=1e-4)
    windows = torch.randn(batch, 6, SAMPLES)
    anchors = F.normalize(torch.randn(batch, OUT), dim=-1)
    own = torch.arange(batch)
    for step in range(steps + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        logits = encoder(windows) @ anchors.T / 0.07
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if step >= 2:
            print(f"{cpu:.4f} {wall:.4f} {loss.item():.4f}", flush=True)


main()
