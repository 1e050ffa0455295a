"""The training step of `trainer/model/examples/step_speed.rs` in PyTorch.

step_torch.py [STEPS] [BATCH] [imu|audio|small-audio] [plain] [cuda] [bf16] [compile]: prints a line a step,
after two to warm up: CPU seconds, seconds, loss. Attention is scaled_dot_product_attention, or products and
a softmax with `plain`; `bf16` is autocast.
"""

import contextlib
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads, extra, plain):
        super().__init__()
        self.dim, self.heads, self.plain = dim, heads, plain
        self.norm_1, self.norm_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        # One key and value beside those of the tokens (bias_k, bias_v).
        self.extra = nn.Parameter(torch.randn(2, 1, 1, dim) * 0.02) if extra else None

    def forward(self, x):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm_1(x)).chunk(3, -1)
        if self.extra is not None:
            k, v = (torch.cat([y, e.to(y.dtype).expand(batch, 1, self.dim)], 1) for y, e in zip((k, v), self.extra))
        q, k, v = (y.view(batch, -1, self.heads, self.dim // self.heads).transpose(1, 2) for y in (q, k, v))
        if self.plain:
            y = torch.softmax(q @ k.transpose(-1, -2) / (self.dim // self.heads) ** 0.5, -1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(batch, tokens, self.dim))
        return x + self.fc2(F.gelu(self.fc1(self.norm_2(x))))


class Encoder(nn.Module):
    def __init__(self, name, plain):
        super().__init__()
        self.audio = name != "imu"
        blocks, dim, heads, out = {"imu": (4, 128, 4, 512), "audio": (12, 768, 12, 1024), "small-audio": (2, 64, 2, 1024)}[name]
        self.out = out
        if self.audio:
            self.stem, tokens = nn.Conv2d(1, dim, 16, 10, bias=False), 12 * 19
        else:
            self.stem, tokens = nn.Linear(6 * 8, dim, bias=False), 250
        self.stem_norm = nn.LayerNorm(dim)
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, tokens + 1, dim) * 0.01)
        self.blocks = nn.Sequential(*(Block(dim, heads, self.audio, plain) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, out, bias=False)

    def forward(self, x):
        if self.audio:
            x = self.stem(x).flatten(2).transpose(1, 2)
        else:
            x = self.stem(x.view(len(x), 6, 250, 8).transpose(1, 2).flatten(2))
        x = torch.cat([self.token.expand(len(x), 1, -1), self.stem_norm(x)], 1) + self.positions
        return F.normalize(self.head(self.norm(self.blocks(x)[:, 0])).float(), dim=-1)


def main():
    torch.set_num_threads(int(os.environ.get("RAYON_NUM_THREADS", "1")))
    torch.manual_seed(0)
    words = sys.argv[1:]
    numbers = [int(word) for word in words if word.isdigit()]
    steps, batch = (numbers + [10, 64][len(numbers) :])[:2]
    name = next((word for word in words if word in ("imu", "audio", "small-audio")), "imu")
    device = "cuda" if "cuda" in words else "cpu"
    cast = torch.autocast(device, torch.bfloat16) if "bf16" in words else contextlib.nullcontext()
    encoder = Encoder(name, "plain" in words).to(device)
    optimizer = torch.optim.AdamW(encoder.parameters(), 1e-3, weight_decay=1e-4)
    windows = torch.randn(batch, *((1, 128, 204) if name != "imu" else (6, 2000)), device=device)
    anchors = F.normalize(torch.randn(batch, encoder.out, device=device), dim=-1)
    own = torch.arange(batch, device=device)
    embed = torch.compile(encoder) if "compile" in words else encoder
    for step in range(steps + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        with cast:
            embeddings = embed(windows)
        logits = embeddings @ anchors.T / 0.07
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if step >= 2:
            print(f"{cpu:.4f} {wall:.4f} {loss.item():.4f}", flush=True)


main()
