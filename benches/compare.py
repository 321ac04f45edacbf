#!/usr/bin/env python3
"""Time the plain forward pass and the drop + swap sweep side by side with other programs and the machine's peak, in one run.

    python benches/compare.py --python VENV/bin/python --work DIR --out benches/results/NAME.csv [MODEL ...]

MODEL is gpt2-small (default), pythia-160m or smollm2-135m: random weights in real shapes, made in DIR by
`peers/make_models.py`, 512-token sequences. Needs a Python with `peers/requirements.txt`, a C compiler and cargo. Each
program runs alone; the peak of its precision is measured just before. All programs take a turn in each of `--rounds`, and a
ratio is of two times of one round. PyTorch gets its best setting (one sequence at a time, kept prefixes, a tuned malloc).
GPT-2 small has peers that need code of their own: PyTorch with oneDNN's products, which is the fastest sweep that short
code makes, and with `--engines` the engines of `peers/peer_engines.py` for the plain pass. With `--zentorch PATH` (a folder
with zentorch and its torch) that is one of them. With `--transformerlens PATH` (a folder with transformer_lens < 4) the
published loop runs too, on a sample of the schedules, scaled; with `--candle` candle's forward pass is built and run;
`--only` leaves out the sweep or the plain pass. Nothing else should run meanwhile.
"""
import argparse, csv, json, os, pathlib, platform, statistics, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
TOKENS = 512
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "268435456"}
COLUMNS = ["model", "round", "work", "program", "precision", "threads", "tokens", "seconds", "seconds_per_1k_tokens",
           "gflop_per_token", "gflop_per_second", "peak_gflop_per_second", "fraction_of_peak", "peak_memory_mib"]


def run(command, **environment):
    """Standard output, and the peak memory of the process in MiB."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **environment})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return output, usage.ru_maxrss // 1024


def last_object(output):
    return json.loads(output.splitlines()[-1])


class Bench:
    def __init__(self, options):
        self.options, self.work = options, options.work
        self.target = pathlib.Path(json.loads(run(["cargo", "metadata", "--no-deps", "--format-version", "1"])[0])["target_directory"])
        run(["cargo", "build", "--release", "--package", "xtask"])
        run(["cargo", "build", "--release", "--package", "layerwise", "--example", "plain_forward"])
        run(["cc", "-O3", "-march=native", "-ffp-contract=fast", "-o", self.work / "fma_peak", HERE / "peers/fma_peak.c"])
        if options.candle:
            run(["cargo", "build", "--release", "--manifest-path", HERE / "peers/candle/Cargo.toml",
                 "--target-dir", self.work / "candle"])

    def peak(self, threads, precision):
        """The peak of this many cores at once, GFLOP/s: the best of three, because a disturbed one is not the peak."""
        def once():
            processes = [subprocess.Popen([self.work / "fma_peak", precision], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
            return sum(float(process.communicate()[0].split()[0]) for process in processes)

        return max(once() for _ in range(3))

    def our_sweep(self, model, threads, precision):
        out = self.work / "ours.csv"
        _, memory = run([self.target / "release/layerwise", "sweep", "--model", self.work / model, "--corpus", self.work / model / "tokens.npy",
                         "--rows", threads, "--context", TOKENS, "--threads", threads, "--precision", precision, "--fresh",
                         "--out", out, "drop(l)", "swap(l,l+1)"])
        manifest = json.loads((self.work / "ours.csv.run/manifest.json").read_text())
        return manifest["runs"][0]["execution"]["seconds"], TOKENS * threads, memory

    def torch_sweep(self, model, threads, precision):
        output, memory = run([self.options.python, HERE / "peers/peer_torch.py", self.work / model, "prefix", "-T", TOKENS, "-S", 1,
                              "--batch", 1, "--threads", threads, "--dtype", precision], HF_HUB_OFFLINE="1", **TUNED)
        return last_object(output)["seconds"], TOKENS, memory

    def fast_torch_sweep(self, model, threads, precision):
        output, memory = run([self.options.python, HERE / "peers/peer_torch_fast.py", self.work / model, "-T", TOKENS, "-S", 2,
                              "--threads", threads, "--dtype", precision], HF_HUB_OFFLINE="1", **TUNED)
        found = last_object(output)
        return found["seconds"], found["tokens"], memory

    def engine_plain(self, engine):
        def measure(model, threads, precision):
            zentorch = {"PYTHONPATH": str(self.options.zentorch)} if engine == "zentorch" else {}
            output, memory = run([self.options.python, HERE / "peers/peer_engines.py", engine, self.work / model, "-T", TOKENS,
                                  "--threads", threads, "--dtype", precision], HF_HUB_OFFLINE="1", **TUNED, **zentorch)
            found = last_object(output)
            return found["seconds"], found["tokens"], memory

        return measure

    def published_loop(self, model, threads, _):
        output, memory = run([self.options.python, HERE / "peers/peer_transformerlens.py", self.work / model, "-T", TOKENS, "-S", 1,
                              "--threads", threads, "--variants", 4],
                             HF_HUB_OFFLINE="1", PYTHONPATH=str(self.options.transformerlens))
        # The time for building swapped models is left out, since it does not grow with the tokens.
        return last_object(output)["sweep_s_per_1k_tokens"] * TOKENS / 1000, TOKENS, memory

    def our_plain(self, model, threads, precision):
        output, memory = run([self.target / "release/examples/plain_forward", self.work / model, TOKENS, threads, 7, precision])
        found = last_object(output)
        return found["seconds"], found["tokens"], memory

    def torch_plain(self, model, threads, _):
        output, memory = run([self.options.python, HERE / "peers/peer_torch.py", self.work / model, "plain", "-T", TOKENS, "-S", 2,
                              "--batch", 1, "--threads", threads, "--repeat", 7], HF_HUB_OFFLINE="1", **TUNED)
        found = last_object(output)
        return found["seconds"], found["tokens"], memory

    def candle_plain(self, model, threads, _):
        output, memory = run([self.work / "candle/release/peer-candle", self.work / model, TOKENS, 2, 5], RAYON_NUM_THREADS=str(threads))
        found = last_object(output)
        return found["seconds"], TOKENS * 2, memory

    def programs(self, model, cores):
        for threads in sorted({1, cores}):
            yield "sweep", "layerwise", "f32", threads, self.our_sweep
            yield "sweep", "torch, kept prefixes, tuned malloc", "f32", threads, self.torch_sweep
        yield "sweep", "layerwise", "bf16", cores, self.our_sweep
        yield "sweep", "torch, kept prefixes, tuned malloc", "bf16", cores, self.torch_sweep
        if model == "gpt2-small":
            for precision in ("f32", "bf16"):
                yield "sweep", "torch, oneDNN, shared first blocks", precision, cores, self.fast_torch_sweep
        if self.options.transformerlens and model == "gpt2-small":
            yield "sweep", "TransformerLens, published loop", "f32", cores, self.published_loop
        yield "plain", "layerwise", "f32", cores, self.our_plain
        yield "plain", "layerwise", "bf16", cores, self.our_plain
        yield "plain", "torch, tuned malloc", "f32", cores, self.torch_plain
        if self.options.engines and model == "gpt2-small":
            for engine in ["onednn", "openvino", "onnxruntime"] + ["zentorch"] * bool(self.options.zentorch):
                for precision in ("f32", "bf16")[:1 if engine == "onnxruntime" else 2]:
                    yield "plain", engine, precision, cores, self.engine_plain(engine)
        if self.options.candle and model != "pythia-160m":
            yield "plain", "candle", "f32", cores, self.candle_plain


def print_ratios(model, times):
    """For each program the median time, and the median and range of its ratio to layerwise's in the same round."""
    for (work, precision, threads, program), own in times.items():
        ours = times[work, precision, threads, "layerwise"] if (work, precision, threads, "layerwise") in times else own
        ratios = sorted(theirs / mine for theirs, mine in zip(own, ours))
        print(f"{model}\t{work}\t{precision}\t{threads} threads\t{program}\t{statistics.median(own):.3f} s per 1,000 tokens\t"
              f"{statistics.median(ratios):.3f} of layerwise's ({ratios[0]:.3f} to {ratios[-1]:.3f})")


def machine():
    """The processor's name in /proc/cpuinfo, with its family and model, which identify its generation."""
    lines = [[part.strip() for part in line.split(":", 1)] for line in open("/proc/cpuinfo") if ":" in line]
    first, cores = dict(reversed(lines)), sum(name == "processor" for name, _ in lines)
    generation = f"family {first.get('cpu family', '?')}, model {first.get('model', '?')}"
    return f"{first.get('model name', platform.processor())} ({generation}), {cores} cores, {platform.system()}"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", required=True)
    options.add_argument("--work", type=pathlib.Path, required=True)
    options.add_argument("--out", type=pathlib.Path, required=True)
    options.add_argument("--transformerlens", type=pathlib.Path)
    options.add_argument("--candle", action="store_true")
    options.add_argument("--engines", action="store_true")
    options.add_argument("--zentorch", type=pathlib.Path)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=["sweep", "plain"])
    options.add_argument("models", nargs="*", default=["gpt2-small"])
    options = options.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    cores = len(os.sched_getaffinity(0))
    work_of = {}
    for line in run([sys.executable, HERE / "peers/roofline.py", TOKENS, 1])[0].splitlines():
        record = json.loads(line)
        work_of[record["model"]] = {"sweep": record["prefix+shared_first"]["GF_per_token"], "plain": record["plain_GF_per_token"]}
    with open(options.out, "w", newline="") as file:
        file.write(f"# {machine()}; {TOKENS}-token sequences\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for model in options.models:
            if not (options.work / model / "tokens.npy").exists():
                run([options.python, HERE / "peers/make_models.py", options.work, model])
                run([options.python, "-c", "import sys, numpy; numpy.save(sys.argv[2], numpy.fromfile(sys.argv[1], numpy.uint32).reshape(16, 1024))",
                     options.work / model / "tokens.u32", options.work / model / "tokens.npy"])
            times = {}
            for turn in range(1, options.rounds + 1):
                for work, program, precision, threads, measure in bench.programs(model, cores):
                    if options.only not in (None, work):
                        continue
                    rate = bench.peak(threads, precision)
                    seconds, tokens, memory = measure(model, threads, precision)
                    times.setdefault((work, precision, threads, program), []).append(1000 * seconds / tokens)
                    flops = work_of[model][work]
                    reached = flops * tokens / seconds
                    row = [model, turn, work, program, precision, threads, tokens, f"{seconds:.3f}", f"{1000 * seconds / tokens:.3f}",
                           flops, f"{reached:.1f}", f"{rate:.1f}", f"{reached / rate:.3f}" if rate else "", memory]
                    print(*row, sep="\t", file=sys.stderr, flush=True)
                    writer.writerow(row)
                    file.flush()
            print_ratios(model, times)


if __name__ == "__main__":
    main()
