#!/usr/bin/env python3
"""Time one-token decoding side by side with llama.cpp, PyTorch and the machine's read bandwidth, in one run.

    python benches/decode.py --python VENV/bin/python --work DIR --out benches/results/NAME.csv MODEL

MODEL is a Llama-shaped checkpoint folder with its tokenizer (SmolLM2-135M). VENV holds `peers/requirements.txt` and `gguf`.
llama.cpp is built in DIR from the source in the package llama-cpp-python, by `peers/peer_llamacpp.sh`, unless it is there; `--no-llama` leaves it out.
The programs take turns, round after round, and the best round of each is kept: another process can only make one slower.
Batches are of layerwise and PyTorch. The load average is in the first line of the file; it should be below 0.5 at the start.
"""
import argparse, csv, json, os, pathlib, subprocess, sys
from compare import machine

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ["precision", "threads", "batch", "program", "rounds", "tokens_per_s", "bytes_per_token", "gb_per_s", "read_bandwidth_gb_per_s", "share_of_bandwidth"]


def run(command, **environment):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"{command[0]} failed")
    return done.stdout


def bytes_per_token(config, precision, cached):
    """Weights of a token's products in the precision, and keys and values in f32: B(n)."""
    d, heads, f = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
    kv, head = config.get("num_key_value_heads", heads), config.get("head_dim") or d // heads
    weight = {"f32": 4, "bf16": 2}[precision]
    block = 2 * d * head * (heads + kv) + 3 * d * f
    layers = config["num_hidden_layers"]
    return weight * (layers * block + d * config["vocab_size"]) + 4 * layers * 2 * kv * head * (cached + 1)


class Bench:
    def __init__(self, options):
        self.options, self.work = options, options.work
        target = json.loads(run(["cargo", "metadata", "--no-deps", "--format-version", "1"]))["target_directory"]
        run(["cargo", "build", "--release", "--package", "layerwise", "--example", "decoding"])
        self.decoding = pathlib.Path(target) / "release/examples/decoding"
        run(["cc", "-O3", "-march=native", "-pthread", "-o", self.work / "read_bandwidth", HERE / "peers/read_bandwidth.c"])
        self.llama = None if options.no_llama else self.work / "llama"
        if self.llama and not (self.llama / "build/bin/llama-bench").exists():
            venv = self.work / "build-tools"
            run([sys.executable, "-m", "venv", venv])
            run(["sh", HERE / "peers/peer_llamacpp.sh", "build", self.llama], PATH=f"{venv}/bin:{os.environ['PATH']}")
        for precision in ["f32", "bf16"] if self.llama else []:
            if not (self.llama / f"{precision}.gguf").exists():
                run([options.python, HERE / "peers/make_gguf.py", options.model, self.llama / f"{precision}.gguf", precision])

    def bandwidth(self, threads):
        """The best of thirteen passes over half a GiB on huge pages."""
        return float(run([self.work / "read_bandwidth", threads, 512, "huge"]).split("max")[1].split()[0])

    def ours(self, precision, threads, batches):
        output = run([self.decoding, self.options.model, precision, threads, self.options.prompt, self.options.new, ",".join(map(str, batches))])
        return {found["batch"]: found["tok_s"] for found in map(json.loads, output.splitlines())}

    def llamacpp(self, precision, threads, _):
        output = run([self.llama / "build/bin/llama-bench", "-m", self.llama / f"{precision}.gguf", "-t", threads, "-p", 0, "-n", self.options.new,
                      "-d", self.options.prompt, "-r", 1, "-o", "jsonl"])
        return {1: json.loads(output.splitlines()[-1])["avg_ts"]}

    def torch(self, method):
        def measure(precision, threads, batches):
            output = run([self.options.python, HERE / "peers/peer_torch_decoding.py", self.options.model, method, "--dtype", precision, "--threads", threads,
                          "--prompt", self.options.prompt, "--new", self.options.new, "--repeat", 1, "--batch", *batches], HF_HUB_OFFLINE="1")
            return {found["batch"]: found["best"] for found in map(json.loads, output.splitlines())}
        return measure

    def programs(self):
        yield "layerwise", self.ours
        if self.llama:
            yield "llama.cpp", self.llamacpp
        yield "torch, transformers with a static cache", self.torch("hf-static")
        yield "torch, own loop with a static cache", self.torch("min")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=pathlib.Path)
    options.add_argument("--python", required=True)
    options.add_argument("--work", type=pathlib.Path, required=True)
    options.add_argument("--out", type=pathlib.Path, required=True)
    options.add_argument("--no-llama", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--prompt", type=int, default=32)
    options.add_argument("--new", type=int, default=128)
    options.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    options = options.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    config = json.loads((options.model / "config.json").read_text())
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    best, bandwidth = {}, {}
    for _ in range(options.rounds):
        for threads in sorted({1, cores}):
            for precision in ["f32", "bf16"]:
                bandwidth[threads] = max(bandwidth.get(threads, 0), bench.bandwidth(threads))
                for program, measure in bench.programs():
                    for batch, rate in measure(precision, threads, options.batch).items():
                        key = (precision, threads, batch, program)
                        best[key] = max(best.get(key, 0), rate)
                        print(*key, f"{rate:.1f}", sep="\t", file=sys.stderr, flush=True)
    with open(options.out, "w", newline="") as file:
        file.write(f"# {machine()}; {options.model.name}, prompts of {options.prompt} tokens, {options.new} decoded; "
                   f"load average {load:.2f} before and {os.getloadavg()[0]:.2f} after\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (precision, threads, batch, program), rate in sorted(best.items()):
            each = bytes_per_token(config, precision, options.prompt + options.new / 2)
            # A batch reads the weights once, so bytes per second are reported only for batch 1.
            read = [f"{each:.0f}", f"{each * rate / 1e9:.1f}", f"{bandwidth[threads]:.1f}", f"{each * rate / 1e9 / bandwidth[threads]:.3f}"]
            writer.writerow([precision, threads, batch, program, options.rounds, f"{rate:.1f}", *(read if batch == 1 else [""] * 4)])


if __name__ == "__main__":
    main()
