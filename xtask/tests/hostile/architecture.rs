//! D, 72 to 77: the weights against the architecture.

use crate::checkpoint::{Checkpoint, Tensor};
use crate::{Case, check};

fn refused(name: (u8, &'static str), checkpoint: Checkpoint, says: &[&str]) -> Case {
    Case::refused(name, move |s| s.write_checkpoint(&checkpoint), says)
}

fn accepted(name: (u8, &'static str), checkpoint: Checkpoint, says: &[&str]) -> Case {
    Case::accepted(name, move |s| s.write_checkpoint(&checkpoint), says)
}

/// Cases 72 to 77.
pub(crate) fn tensors() -> Vec<Case> {
    let changed = |mut checkpoint: Checkpoint, name: &str, change: fn(&mut Tensor)| {
        change(checkpoint.tensor(name));
        checkpoint
    };
    let down = "model.layers.0.mlp.down_proj.weight";
    let qkv = "h.1.attn.c_attn.weight";
    let buffers = || {
        Checkpoint::gpt2()
            .with(Tensor::random("h.0.attn.bias", &[1, 1, 16, 16]))
            .with(Tensor::random("h.0.attn.masked_bias", &[1]))
    };
    vec![
        refused(
            (72, "missing tensors, all of which are listed"),
            Checkpoint::llama().without(|name| name.contains("1.mlp")),
            &[
                "model",
                "3 tensors of a llama model are missing",
                "layers.1.mlp.gate_proj.weight",
                "layers.1.mlp.up_proj.weight",
                "layers.1.mlp.down_proj.weight",
            ],
        ),
        refused(
            (73, "unexpected tensor"),
            Checkpoint::llama().with(Tensor::random("model.layers.0.mlp.router.weight", &[2, 8])),
            &[
                "model",
                "1 unexpected tensors",
                "model.layers.0.mlp.router.weight",
            ],
        ),
        accepted(
            (73, "buffers that are known to have no meaning"),
            buffers(),
            &["model: 3 schedules"],
        ),
        refused(
            (74, "transposed matrix"),
            changed(Checkpoint::llama(), down, |t| t.shape = vec![12, 8]),
            &[
                "model",
                down,
                "is transposed",
                "expected shape [8, 12]",
                "found [12, 8]",
            ],
        ),
        refused(
            (75, "fused query, key and value of the wrong size"),
            changed(Checkpoint::gpt2(), qkv, |t| {
                *t = Tensor::random(&t.name, &[8, 20])
            }),
            &["model", "h.1.attn.c_attn", "expected 24 outputs, found 20"],
        ),
        accepted(
            (76, "mixed dtypes"),
            changed(Checkpoint::llama(), down, |t| {
                t.dtype = "BF16";
                t.data = t
                    .data
                    .chunks(4)
                    .flat_map(|word| [word[2], word[3]])
                    .collect();
            }),
            &["note: model", "BF16", "F32"],
        ),
        refused(
            (77, "names with and without a prefix"),
            Checkpoint::gpt2().with(Tensor::random("transformer.h.0.ln_1.weight", &[8])),
            &[
                "model",
                "both",
                "transformer.h.0.ln_1.weight",
                "expected all names with the prefix, or none",
            ],
        ),
    ]
}

#[test]
fn tensors_of_an_architecture() {
    check(tensors());
}
