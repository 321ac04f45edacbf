//! `vectors`: the states of words in their sentences.

use crate::{Sandbox, fixtures, tiny};
use safetensors::{Dtype, SafeTensors};
use std::fs;

const PAIRS: &str = "board\tN\t2-1\tRoom and board .\tHe  boards a plane\ngo\tV\t0-0\tgo\tgo on\n";

fn embedded() -> String {
    let folder = fixtures().join("models/gpt2-8x160");
    folder.to_str().unwrap().to_owned()
}

fn written(sandbox: &Sandbox, more: &[&str]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let model = embedded();
    let arguments = [
        &[
            "vectors",
            "pairs.txt",
            "--model",
            &model,
            "--out",
            "out.safetensors",
        ],
        more,
    ];
    sandbox.xtask(&arguments.concat()).succeeded();
    let bytes = fs::read(sandbox.path("out.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut found: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| {
            assert_eq!(tensor.dtype(), Dtype::F32);
            let values = tensor.data().as_chunks::<4>().0.iter();
            let values = values.map(|bytes| f32::from_le_bytes(*bytes));
            (name.to_owned(), tensor.shape().to_vec(), values.collect())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn vectors_are_of_every_state_or_of_one() {
    let sandbox = Sandbox::new();
    sandbox.write("pairs.txt", PAIRS.as_bytes());
    let all = written(&sandbox, &[]);
    let shapes: Vec<(&str, &[usize])> =
        all.iter().map(|t| (t.0.as_str(), t.1.as_slice())).collect();
    assert_eq!(
        shapes,
        [
            ("normed", [2, 2, 160].as_slice()),
            ("states", &[2, 2, 9, 160])
        ]
    );
    let one = written(&sandbox, &["--state", "3"]);
    let (name, shape, values) = &one[0];
    assert_eq!(
        (one.len(), name.as_str(), shape.as_slice()),
        (1, "states", [2, 2, 160].as_slice())
    );
    for word in 0..4 {
        let from = (word * 9 + 3) * 160;
        assert_eq!(
            values[word * 160..(word + 1) * 160],
            all[1].2[from..from + 160]
        );
    }
    let before = written(&sandbox, &["--setting", "prompt2", "--state", "3"]);
    assert_ne!(&before[0].2, values);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("pairs.txt", PAIRS.as_bytes());
    sandbox.write("empty.txt", b"");
    sandbox.write(
        "bad.txt",
        b"board\tN\t9-1\tRoom and board .\tHe boards a plane\n",
    );
    let (model, ids) = (embedded(), tiny("gpt2"));
    for (file, more, expected) in [
        (
            "pairs.txt",
            ["--state", "9"],
            "--state 9: expected a residual stream from 0 to 8",
        ),
        (
            "pairs.txt",
            ["--setting", "prompt3"],
            "expected one of base, repeat",
        ),
        (
            "empty.txt",
            ["--state", "1"],
            "empty.txt: expected a line for each pair, found none",
        ),
        (
            "bad.txt",
            ["--state", "1"],
            "bad.txt: line 1: expected a word of index 9",
        ),
        ("none.txt", ["--state", "1"], "none.txt: not found"),
    ] {
        let arguments = [
            &["vectors", file, "--model", &model, "--out", "o.safetensors"],
            &more[..],
        ];
        sandbox.xtask(&arguments.concat()).refused(&[expected]);
        assert!(!sandbox.path("o.safetensors").exists());
    }
    let arguments = [
        "vectors",
        "pairs.txt",
        "--model",
        &ids,
        "--out",
        "o.safetensors",
    ];
    sandbox
        .xtask(&arguments)
        .refused(&["has no tokenizer.json"]);
}
