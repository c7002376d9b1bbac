"""PyTorch's side of the benchmark on a GPU: answers each line on standard input with one on standard output."""
import gc
import math
import sys
import time

import torch
from torch.nn import functional as F

import pytorch_peer as plain

LEAST_BYTES = 256 << 20  # weights are taken in turns from so much memory that no cache holds them


def seconds(work):
    work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    count = max(1, min(200, int(0.1 / max(1e-6, time.perf_counter() - began))))
    best = math.inf
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(count):
            work()
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - began) / count)
    return best


def in_turns(items, work):
    state = [0]

    def run():
        state[0] = (state[0] + 1) % len(items)
        work(items[state[0]])

    return run


def copy(count):
    source, target = torch.empty(count, dtype=torch.uint8), torch.empty(count, dtype=torch.uint8)
    return seconds(lambda: target.copy_(source))


@torch.no_grad()
def product(m, n, k):
    x = torch.randn(m, k).bfloat16()
    weights = [torch.randn(n, k).bfloat16() for _ in range(max(1, LEAST_BYTES // (2 * n * k)))]
    return seconds(in_turns(weights, lambda w: F.linear(x, w)))


@torch.no_grad()
def dequantised(m, n, k):
    """Four-bit codes to bfloat16 in memory, then cuBLAS."""
    x = torch.randn(m, k).bfloat16()
    codes = torch.randint(0, 256, (n, k // 2), dtype=torch.uint8)
    scales = torch.rand(n, k // 128, 1).bfloat16()

    def run():
        both = torch.stack((codes & 15, codes >> 4), -1).view(n, k // 128, 128)
        F.linear(x, ((both - 8.0) * scales).view(n, k).bfloat16())

    return seconds(run)


def attention(heads, kv_heads, dim, seq, backward):
    make = lambda h: torch.randn(1, h, seq, dim).bfloat16().requires_grad_(backward)
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    dy = torch.randn(1, heads, seq, dim).bfloat16()
    wide = lambda t: t if heads == kv_heads else t.repeat_interleave(heads // kv_heads, 1)

    def run():
        y = F.scaled_dot_product_attention(q, wide(k), wide(v), is_causal=True)
        if backward:
            torch.autograd.grad(y, (q, k, v), dy)

    return seconds(run)


class PeftTraining:
    """transformers' model with PEFT's adapters, weights in bfloat16, checkpointing."""

    def __init__(self, vocabulary, hidden, intermediate, layers, heads, kv_heads, seq, rank, targets):
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=4096, use_cache=False)
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
        self.model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, task_type="CAUSAL_LM")).train()
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4)
        self.vocabulary, self.seq = vocabulary, seq

    def step(self):
        ids = torch.randint(1, self.vocabulary, (1, self.seq))
        self.model(input_ids=ids, labels=ids).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def training(words):
    arguments = (*map(int, words[:8]), words[8].split(","))
    try:
        return PeftTraining(*arguments), "PEFT"
    except ImportError:
        return plain.Training(*arguments), "plain modules"


def trained(state):
    began = time.perf_counter()
    state.step()
    torch.cuda.synchronize()
    return time.perf_counter() - began


@torch.no_grad()
def decode(vocabulary, hidden, intermediate, layers, heads, kv_heads, batch, tokens):
    """Seconds of so many greedy steps of a bfloat16 model with a key-value cache, after a prompt of 8."""
    dim = hidden // heads
    blocks = [plain.Block(hidden, intermediate, heads, kv_heads, 1, ()) for _ in range(layers)]
    embedding = (torch.randn(vocabulary, hidden) * 0.02).bfloat16()
    head = (torch.randn(vocabulary, hidden) * 0.02).bfloat16()
    limit = 8 + tokens
    angle = torch.outer(torch.arange(limit).float(), 10000 ** (-torch.arange(0, dim, 2).float() / dim))
    angle = torch.cat((angle, angle), -1)
    cos, sin = angle.cos().bfloat16(), angle.sin().bfloat16()
    keys = torch.zeros(layers, batch, kv_heads, limit, dim).bfloat16()
    values = torch.zeros_like(keys)

    def run(ids, start):
        count = ids.shape[1]
        x = F.embedding(ids, embedding)
        split = lambda y, h: y.view(batch, count, h, dim).transpose(1, 2)
        for layer, block in enumerate(blocks):
            h = plain.rms_norm(x)
            at = slice(start, start + count)
            q = plain.rotate(split(block.q(h), heads), cos[at], sin[at])
            keys[layer, :, :, at] = plain.rotate(split(block.k(h), kv_heads), cos[at], sin[at])
            values[layer, :, :, at] = split(block.v(h), kv_heads)
            k = keys[layer, :, :, :start + count].repeat_interleave(heads // kv_heads, 1)
            v = values[layer, :, :, :start + count].repeat_interleave(heads // kv_heads, 1)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=count > 1)
            x = x + block.o(y.transpose(1, 2).reshape(batch, count, hidden))
            h = plain.rms_norm(x)
            x = x + block.down(F.silu(block.gate(h)) * block.up(h))
        return F.linear(plain.rms_norm(x[:, -1:]), head).argmax(-1)

    best = math.inf
    for _ in range(3):
        ids = run(torch.randint(1, vocabulary, (batch, 8)), 0)
        torch.cuda.synchronize()
        began = time.perf_counter()
        for step in range(tokens - 1):
            ids = run(ids, 8 + step)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best


def answer(words, state):
    kind, numbers = words[0], [int(word) for word in words[1:] if word.isdigit()]
    if kind == "version":
        return f"{torch.__version__} {torch.cuda.get_device_name()}".replace(" ", "_")
    if kind in ("copy", "product", "dequantised", "decode"):
        torch.cuda.reset_peak_memory_stats()
        return globals()[kind](*numbers)
    if kind == "attention":
        return attention(*numbers[:4], numbers[4] == 1)
    if kind == "training":
        torch.cuda.reset_peak_memory_stats()
        state["training"], name = training(words[1:])
        return name.replace(" ", "_")
    if kind == "step":
        return trained(state["training"])
    if kind == "peak":
        return torch.cuda.max_memory_allocated()
    state.clear()
    gc.collect()
    torch.cuda.empty_cache()
    return "done"


def main():
    state = {}
    if not torch.cuda.is_available():
        raise SystemExit("this torch sees no GPU")
    torch.set_default_device("cuda")
    for line in sys.stdin:
        try:
            print(answer(line.split(), state), flush=True)
        except Exception as failure:
            print("error", " ".join(str(failure).split()), flush=True)
        gc.collect()
        torch.cuda.empty_cache()


main()
