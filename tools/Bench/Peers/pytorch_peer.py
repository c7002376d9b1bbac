"""PyTorch's side of the benchmark: answers each line on standard input with one on standard output."""
import math
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class LoraLinear(nn.Module):
    """A frozen bfloat16 weight, with a float32 adapter where it is a target."""

    def __init__(self, inputs, outputs, rank, adapted):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs).mul_(0.02).bfloat16(), requires_grad=False)
        self.adapted = adapted
        if adapted:
            self.a = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
            self.b = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        y = F.linear(x, self.weight)
        if self.adapted:
            y = y + F.linear(F.linear(x, self.a.bfloat16()), self.b.bfloat16()) * 2
        return y


def rms_norm(x):
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


class Block(nn.Module):
    def __init__(self, hidden, intermediate, heads, kv_heads, rank, targets):
        super().__init__()
        self.heads, self.kv_heads, self.dim = heads, kv_heads, hidden // heads
        linear = lambda name, i, o: LoraLinear(i, o, rank, name in targets)
        self.q = linear("q_proj", hidden, hidden)
        self.k = linear("k_proj", hidden, kv_heads * self.dim)
        self.v = linear("v_proj", hidden, kv_heads * self.dim)
        self.o = linear("o_proj", hidden, hidden)
        self.gate = linear("gate_proj", hidden, intermediate)
        self.up = linear("up_proj", hidden, intermediate)
        self.down = linear("down_proj", intermediate, hidden)

    def attention(self, q, k, v):
        k = k.repeat_interleave(self.heads // self.kv_heads, 1)
        v = v.repeat_interleave(self.heads // self.kv_heads, 1)
        if hasattr(F, "scaled_dot_product_attention"):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        seq = q.shape[-2]
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(self.dim)
        scores = scores + torch.full((seq, seq), float("-inf"), dtype=scores.dtype).triu(1)
        return torch.softmax(scores.float(), -1).to(q.dtype) @ v

    def forward(self, x, cos, sin):
        batch, seq, hidden = x.shape
        split = lambda y, heads: y.view(batch, seq, heads, self.dim).transpose(1, 2)
        h = rms_norm(x)
        q = rotate(split(self.q(h), self.heads), cos, sin)
        k = rotate(split(self.k(h), self.kv_heads), cos, sin)
        y = self.attention(q, k, split(self.v(h), self.kv_heads))
        x = x + self.o(y.transpose(1, 2).reshape(batch, seq, hidden))
        h = rms_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Training:
    def __init__(self, vocabulary, hidden, intermediate, layers, heads, kv_heads, seq, rank, targets):
        torch.manual_seed(1)
        self.vocabulary, self.seq = vocabulary, seq
        self.embedding = (torch.randn(vocabulary, hidden) * 0.02).bfloat16()
        self.head = (torch.randn(vocabulary, hidden) * 0.02).bfloat16()
        self.blocks = nn.ModuleList(Block(hidden, intermediate, heads, kv_heads, rank, targets) for _ in range(layers))
        dim = hidden // heads
        angle = torch.outer(torch.arange(seq).float(), 10000 ** (-torch.arange(0, dim, 2).float() / dim))
        angle = torch.cat((angle, angle), -1)
        self.cos, self.sin = angle.cos().bfloat16(), angle.sin().bfloat16()
        self.optimizer = torch.optim.AdamW([p for p in self.blocks.parameters() if p.requires_grad], lr=1e-4)

    def step(self):
        ids = torch.randint(1, self.vocabulary, (1, self.seq))
        began = time.perf_counter()
        # The first block's input needs a gradient for the checkpoints to run backward at all, as PEFT arranges it.
        x = F.embedding(ids, self.embedding).requires_grad_()
        for block in self.blocks:
            x = checkpoint(block, x, self.cos, self.sin)
        logits = F.linear(rms_norm(x), self.head).float()
        loss = F.cross_entropy(logits[0, :-1], ids[0, 1:])
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - began


def multiply(x, w):
    best = math.inf
    for _ in range(max(1, min(20, int(2e9 / (x.shape[0] * w.shape[0] * w.shape[1]))))):
        began = time.perf_counter()
        F.linear(x, w)
        best = min(best, time.perf_counter() - began)
    return best


def answer(words, state):
    if words[0] == "version":
        return torch.__version__
    if words[0] == "product":
        m, n, k = map(int, words[1:4])
        dtype = getattr(torch, words[4])
        state["product"] = torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)
    elif words[0] == "multiply":
        with torch.no_grad():
            return multiply(*state["product"])
    elif words[0] == "training":
        state["training"] = Training(*map(int, words[1:9]), words[9].split(","))
    elif words[0] == "step":
        return state["training"].step()
    elif words[0] == "peak":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return "done"


def main():
    torch.set_num_threads(int(sys.argv[1]))
    state = {}
    for line in sys.stdin:
        try:
            print(answer(line.split(), state), flush=True)
        except Exception as failure:
            print("error", " ".join(str(failure).split()), flush=True)


if __name__ == "__main__":
    main()
