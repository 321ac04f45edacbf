#!/usr/bin/env python3
"""Time the drop + swap sweep side by side with PyTorch and with the machine's peak, in one run.

    python benches/compare.py --python VENV/bin/python --work DIR --out benches/results/NAME.csv [MODEL ...]

MODEL is gpt2-small (default), pythia-160m or smollm2-135m: random weights in real shapes, made in DIR by
`peers/make_models.py`, 512-token sequences, in f32 or, with `--precision bf16`, in bf16 on either side. Needs a Python with `peers/requirements.txt`, a C compiler and
cargo. Each program runs alone, with one thread and with all; the peak is measured before each. PyTorch gets its best
setting (one sequence at a time, kept prefixes, a tuned malloc). Nothing else should run meanwhile.
The peak is that of f32 in either case: in bf16 it is twice as high where the CPU has the instruction.
"""
import argparse, csv, json, os, pathlib, platform, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
TOKENS = 512
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "268435456"}
COLUMNS = ["model", "program", "threads", "tokens", "seconds", "seconds_per_1k_tokens", "planned_gflop_per_token",
           "gflop_per_second", "peak_gflop_per_second", "fraction_of_peak", "peak_memory_mib"]


def run(command, **environment):
    """Standard output, and the peak memory of the process in MiB."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **environment})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return output, usage.ru_maxrss // 1024


def peak(work, threads):
    """The f32 peak of so many cores at once, GFLOP/s."""
    program = work / "fma_peak"
    run(["cc", "-O3", "-march=native", "-ffp-contract=fast", "-o", program, HERE / "peers/fma_peak.c"])
    processes = [subprocess.Popen([program], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
    return sum(float(process.communicate()[0].split()[0]) for process in processes)


def ours(binary, work, model, rows, threads, precision):
    out = work / "ours.csv"
    _, memory = run([binary, "sweep", "--model", work / model, "--corpus", work / model / "tokens.npy", "--rows", rows,
                     "--context", TOKENS, "--threads", threads, "--precision", precision, "--fresh", "--out", out, "drop(l)", "swap(l,l+1)"])
    manifest = json.loads((work / "ours.csv.run/manifest.json").read_text())
    return manifest["runs"][0]["execution"]["seconds"], memory


def torch(python, work, model, rows, threads, precision):
    output, memory = run([python, HERE / "peers/peer_torch.py", work / model, "prefix", "-T", TOKENS, "-S", rows, "--batch", 1,
                          "--threads", threads, "--dtype", precision], HF_HUB_OFFLINE="1", **TUNED)
    return json.loads(output.splitlines()[-1])["seconds"], memory


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores, {platform.system()}"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", required=True)
    options.add_argument("--work", type=pathlib.Path, required=True)
    options.add_argument("--out", type=pathlib.Path, required=True)
    options.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    options.add_argument("models", nargs="*", default=["gpt2-small"])
    options = options.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    target = json.loads(run(["cargo", "metadata", "--no-deps", "--format-version", "1"])[0])["target_directory"]
    run(["cargo", "build", "--release", "--package", "xtask"])
    binary = pathlib.Path(target) / "release/xtask"
    cores = len(os.sched_getaffinity(0))
    work_of = {}
    for line in run([sys.executable, HERE / "peers/roofline.py", TOKENS, 1])[0].splitlines():
        record = json.loads(line)
        work_of[record["model"]] = record["prefix+shared_first"]["GF_per_token"]
    rows = []
    for model in options.models:
        if not (options.work / model / "tokens.npy").exists():
            run([options.python, HERE / "peers/make_models.py", options.work, model])
            run([options.python, "-c", "import sys, numpy; numpy.save(sys.argv[2], numpy.fromfile(sys.argv[1], numpy.uint32).reshape(16, 1024))",
                 options.work / model / "tokens.u32", options.work / model / "tokens.npy"])
        for threads in sorted({1, cores}):
            for program in ["layerwise", "torch, kept prefixes, tuned malloc"]:
                sequences = threads if program == "layerwise" else 1
                rate = peak(options.work, threads)
                if program == "layerwise":
                    seconds, memory = ours(binary, options.work, model, sequences, threads, options.precision)
                else:
                    seconds, memory = torch(options.python, options.work, model, sequences, threads, options.precision)
                tokens = sequences * TOKENS
                reached = work_of[model] * tokens / seconds
                row = [model, program, threads, tokens, f"{seconds:.3f}", f"{1000 * seconds / tokens:.3f}", work_of[model],
                       f"{reached:.1f}", f"{rate:.1f}", f"{reached / rate:.3f}", memory]
                print(*row, sep="\t", file=sys.stderr, flush=True)
                rows.append(row)
    with open(options.out, "w", newline="") as file:
        file.write(f"# {machine()}; {options.models}; {TOKENS}-token sequences, {options.precision}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
