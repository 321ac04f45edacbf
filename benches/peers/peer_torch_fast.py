#!/usr/bin/env python3
"""Peer: the drop + swap sweep of a GPT-2 in PyTorch, as fast as short code makes it.

usage: peer_torch_fast.py MODEL_DIR [--dtype f32|bf16] [-T 512] [-S 1] [--chunk 64] [--threads 2] [--checks]

What makes it fast: residual streams of the plain pass are kept; block l + 1 on the stream before block l serves the drop and
the swap; products go to oneDNN, with weights in its own order and GELU and residual additions fused into them; logits of
`chunk` positions at a time go through one compiled pass, so that they stay in the cache.
Prints one JSON object. `--checks` adds each schedule's means (KL, entropy, agreement, loss), to be compared with others'.
"""
import argparse, json, os, resource, time
import numpy as np, torch, torch.nn.functional as F
from transformers import AutoModelForCausalLM


class Product:
    """x·W + b in oneDNN, with what follows it fused."""

    def __init__(self, weight, bias, rows, dtype):
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous().to(dtype), rows)
        self.bias = None if bias is None else bias.to(dtype)

    def __call__(self, x):
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    def gelu(self, x):
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "gelu", [], "tanh")

    def added_to(self, residual, x):
        return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.packed, self.bias, "add")


class Gpt2:
    def __init__(self, folder, tokens, chunk, dtype):
        hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        core, config = hf.transformer, hf.config
        self.width, self.heads, self.chunk, self.dtype = config.n_embd, config.n_head, chunk, dtype
        norm = lambda module: (module.weight.to(dtype), module.bias.to(dtype))
        product = lambda module: Product(module.weight.t(), module.bias, tokens, dtype)
        self.blocks = [(norm(b.ln_1), product(b.attn.c_attn), product(b.attn.c_proj),
                        norm(b.ln_2), product(b.mlp.c_fc), product(b.mlp.c_proj)) for b in core.h]
        self.last_norm = norm(core.ln_f)
        self.head = Product(core.wte.weight, None, chunk, dtype)
        self.embeddings, self.positions = core.wte, core.wpe.weight[:tokens]

    def embed(self, ids):
        return (self.embeddings(ids[None]) + self.positions).to(self.dtype)

    def block(self, at, x):
        first, qkv, out, second, up, down = self.blocks[at]
        heads = lambda z: z.view(1, z.shape[1], self.heads, -1).transpose(1, 2)
        q, k, v = map(heads, qkv(F.layer_norm(x, (self.width,), *first)).split(self.width, 2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        x = out.added_to(x, mixed)
        return down.added_to(x, up.gelu(F.layer_norm(x, (self.width,), *second)))

    def logits(self, x):
        """Of `chunk` positions at a time, each with its first position."""
        x = F.layer_norm(x, (self.width,), *self.last_norm)[0]
        for start in range(0, len(x), self.chunk):
            yield start, self.head(x[start:start + self.chunk])


@torch.compile(dynamic=False)
def reference(logits):
    """Probabilities, log-sum-exp, mean logit and the likeliest token of the plain model."""
    logits = logits.float()
    p = logits.softmax(-1)
    return p, logits.logsumexp(-1), (p * logits).sum(-1), logits.argmax(-1)


@torch.compile(dynamic=False)
def altered(logits, p, targets):
    logits = logits.float()
    most = logits.amax(-1, keepdim=True)
    weights = (logits - most).exp()
    total = weights.sum(-1)
    own_mean = (weights * logits).sum(-1) / total
    return (most[:, 0] + total.log(), own_mean, (p * logits).sum(-1), logits.argmax(-1),
            logits.gather(-1, targets[:, None])[:, 0])


def sweep(model, ids):
    targets, chunk = torch.roll(ids, -1), model.chunk
    streams = [model.embed(ids)]
    for at in range(len(model.blocks)):
        streams.append(model.block(at, streams[-1]))
    p, plain_lse, plain_mean, plain_top = (torch.cat(part) for part in zip(*(reference(z) for _, z in model.logits(streams[-1]))))

    def compared(x):
        parts = [altered(z, p[i:i + chunk], targets[i:i + chunk]) for i, z in model.logits(x)]
        lse, own_mean, cross, top, true = (torch.cat(part) for part in zip(*parts))
        divergence = (lse - plain_lse) - (cross - plain_mean)
        last = len(ids) - 1
        return (divergence.mean().item(), (lse - own_mean).mean().item(),
                (top == plain_top).float().mean().item(), (lse - true)[:last].mean().item())

    found, count = {}, len(model.blocks)
    for at in range(count - 1):
        first = model.block(at + 1, streams[at])
        for name, x in ((f"drop {at}", first), (f"swap {at}", model.block(at, first))):
            for later in range(at + 2, count):
                x = model.block(later, x)
            found[name] = compared(x)
    found[f"drop {count - 1}"] = compared(streams[count - 1])
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model")
    options.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    options.add_argument("-T", type=int, default=512)
    options.add_argument("-S", type=int, default=1)
    options.add_argument("--chunk", type=int, default=64)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--checks", action="store_true")
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    model = Gpt2(options.model, options.T, options.chunk, dtype)
    texts = np.fromfile(os.path.join(options.model, "tokens.u32"), dtype=np.uint32).reshape(16, 1024)
    texts = torch.from_numpy(texts[:options.S, :options.T].astype(np.int64))
    # Compiling is not timed.
    x = model.block(0, model.embed(texts[0]))
    z = next(model.logits(x))[1]
    altered(z, reference(z)[0], texts[0, :options.chunk])
    start = time.perf_counter()
    found = [sweep(model, ids) for ids in texts]
    seconds = time.perf_counter() - start
    record = dict(peer="torch-fast", model=os.path.basename(os.path.normpath(options.model)), dtype=options.dtype, T=options.T,
                  S=options.S, threads=options.threads, seconds=seconds, tokens=texts.numel(), torch=torch.__version__,
                  peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    if options.checks:
        record["checks"] = {name: np.mean([one[name] for one in found], axis=0).round(6).tolist() for name in found[0]}
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
