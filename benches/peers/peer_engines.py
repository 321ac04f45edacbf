#!/usr/bin/env python3
"""Peer: the plain forward pass of a GPT-2, logits at every position, in the engines that a user would choose.

usage: peer_engines.py ENGINE MODEL_DIR [--dtype f32|bf16] [-T 512] [--threads 2] [--repeat 7]

ENGINE   onednn        PyTorch with oneDNN's products, weights in its own order
         openvino      OpenVINO, a stream for each thread
         onnxruntime   a session for each sequence, one thread inside; f32 alone
         zentorch      torch.compile with AMD's backend
Two sequences are a repeat; openvino and onnxruntime run them side by side, which is faster there.
Prints one JSON object with the median repeat, and the largest difference of logits from transformers in f32.
"""
import argparse, concurrent.futures, json, os, resource, time
import numpy as np, torch
from transformers import AutoModelForCausalLM
from peer_torch_fast import Gpt2


class Traced(torch.nn.Module):
    """Token ids to logits, and nothing else, for exporters."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(input_ids=ids, use_cache=False).logits


def exported(hf, ids, options):
    """The model in ONNX, which both engines read: OpenVINO's own reader of PyTorch lacks an operation of transformers' masks."""
    path = os.path.join(options.model, f"plain-{options.T}.onnx")
    if not os.path.exists(path):
        torch.onnx.export(Traced(hf), (ids[0],), path, dynamo=True, external_data=True, input_names=["ids"], output_names=["logits"])
    return path


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("engine", choices=["onednn", "openvino", "onnxruntime", "zentorch"])
    options.add_argument("model")
    options.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    options.add_argument("-T", type=int, default=512)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=7)
    options = options.parse_args()
    bf16 = options.dtype == "bf16"
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    texts = np.fromfile(os.path.join(options.model, "tokens.u32"), dtype=np.uint32).reshape(16, 1024)[:2, :options.T].astype(np.int64)
    ids = [torch.from_numpy(row[None]) for row in texts]
    hf = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    expected = hf(ids[0], use_cache=False).logits[0].numpy()
    if options.engine == "onednn":
        model = Gpt2(options.model, options.T, options.T, torch.bfloat16 if bf16 else torch.float32)

        def one(at):
            x = model.embed(ids[at][0])
            for block in range(len(model.blocks)):
                x = model.block(block, x)
            return next(model.logits(x))[1]

        both = lambda: [one(0), one(1)]
    elif options.engine == "zentorch":
        import zentorch
        from torch._inductor import config as inductor
        inductor.freezing = True
        compiled = torch.compile(Traced(hf.to(torch.bfloat16 if bf16 else torch.float32)), backend="zentorch", dynamic=False)
        both = lambda: [compiled(ids[0])[0], compiled(ids[1])[0]]
    elif options.engine == "openvino":
        import openvino
        converted = openvino.convert_model(exported(hf, ids, options))
        settings = {"INFERENCE_PRECISION_HINT": options.dtype, "INFERENCE_NUM_THREADS": options.threads,
                    "NUM_STREAMS": options.threads, "ENABLE_CPU_PINNING": False}
        compiled = openvino.Core().compile_model(converted, "CPU", settings)
        requests = [compiled.create_infer_request() for _ in ids]

        def both():
            for request, row in zip(requests, ids):
                request.start_async({0: row.numpy()}, share_inputs=True)
            for request in requests:
                request.wait()
            return [request.get_output_tensor().data[0] for request in requests]
    else:
        import onnxruntime
        path = exported(hf, ids, options)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        pool = concurrent.futures.ThreadPoolExecutor(options.threads)
        both = lambda: list(pool.map(lambda row: session.run(["logits"], {"ids": row.numpy()})[0][0], ids))
    found = both()[0]
    found = found.float().numpy() if isinstance(found, torch.Tensor) else np.asarray(found, dtype=np.float32)
    seconds = []
    for _ in range(options.repeat):
        start = time.perf_counter()
        both()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(dict(peer=options.engine, dtype=options.dtype, T=options.T, threads=options.threads, tokens=2 * options.T,
                          seconds=sorted(seconds)[len(seconds) // 2], largest_difference=float(np.abs(found - expected).max()),
                          peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)), flush=True)


if __name__ == "__main__":
    main()
