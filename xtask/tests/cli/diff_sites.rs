//! `diff-sites`: every fixture agrees, and differences are named.

use crate::{Sandbox, fixtures, tiny};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::fs;

/// A reference's tensors, to be changed.
type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn golden(case: &str) -> Tensors {
    let bytes = fs::read(format!("{}/golden.safetensors", tiny(case))).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    golden
        .iter()
        .map(|(name, tensor)| {
            (
                name.to_owned(),
                tensor.dtype(),
                tensor.shape().to_vec(),
                tensor.data().to_vec(),
            )
        })
        .collect()
}

fn serialized(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn tensor<'a>(
    tensors: &'a mut Tensors,
    name: &str,
) -> &'a mut (String, Dtype, Vec<usize>, Vec<u8>) {
    let found = tensors.iter_mut().find(|tensor| tensor.0 == name);
    found.unwrap_or_else(|| panic!("no tensor {name}"))
}

/// `diff-sites` of a tiny model with a copy of its reference that `change` has modified.
fn compare(case: &str, change: impl FnOnce(&mut Tensors)) -> crate::Outcome {
    let sandbox = Sandbox::new();
    let mut tensors = golden(case);
    change(&mut tensors);
    sandbox.write("reference.safetensors", &serialized(&tensors));
    sandbox.xtask(&["diff-sites", &tiny(case), "reference.safetensors"])
}

#[test]
fn every_fixture_agrees_at_every_site() {
    let sandbox = Sandbox::new();
    let mut compared = 0;
    for entry in fs::read_dir(fixtures().join("parity")).unwrap() {
        let folder = entry.unwrap().path();
        let reference = folder.join("golden.safetensors");
        if !reference.is_file() {
            continue;
        }
        let case = folder.file_name().unwrap().to_str().unwrap();
        let arguments = [
            "diff-sites",
            folder.to_str().unwrap(),
            reference.to_str().unwrap(),
        ];
        let said = sandbox.xtask(&arguments).succeeded().stdout;
        let sites = golden(case)
            .iter()
            .filter(|tensor| tensor.0.starts_with("f32/"))
            .count();
        let says = format!("{sites} activations agree within");
        assert!(said.contains(&says), "{case}: expected {says} in:\n{said}");
        compared += 1;
    }
    assert!(compared > 10, "{compared} fixtures");
}

/// Adds a share of the tensor's largest value to its last value.
fn shift(tensors: &mut Tensors, name: &str, share: f32) {
    let data = &mut tensor(tensors, name).3;
    let values = data
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    let largest = values.fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let last = data.len() - 4;
    let value = f32::from_le_bytes(data[last..].try_into().unwrap()) + share * largest;
    data[last..].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn the_first_site_that_differs_is_named() {
    let without_f64 = |tensors: &mut Tensors| {
        tensors.retain(|tensor| !tensor.0.starts_with("f64/"));
    };
    for case in ["gpt2", "gpt_neox", "llama", "phi", "qwen2"] {
        let outcome = compare(case, |tensors| {
            shift(tensors, "f32/logits", 1e-3);
            without_f64(tensors);
        });
        outcome.refused(&["f32/logits", "and the reference has no f64"]);
        // Where the reference itself is far from f64, a model that is nearer to f64 agrees.
        let outcome = compare(case, |tensors| shift(tensors, "f32/1/mlp.out", 1e-3));
        let said = outcome.succeeded().stdout;
        assert!(said.contains("1 more are at most 4 times as far"), "{said}");
        compare(case, |tensors| shift(tensors, "f32/1/mlp.out", 1e-6)).succeeded();
        for share in [1e-3, f32::NAN, f32::INFINITY] {
            let outcome = compare(case, |tensors| {
                shift(tensors, "f32/logits", share);
                shift(tensors, "f32/1/mlp.out", share);
                without_f64(tensors);
            });
            outcome.refused(&[
                "first divergent site: f32/1/mlp.out",
                "expected at most 5e-5",
            ]);
            // Nothing is near to a reference that is not a number.
            if !share.is_normal() {
                compare(case, |tensors| shift(tensors, "f32/logits", share)).refused(&[
                    "first divergent site: f32/logits",
                    "distance of the reference's f32 from its f64",
                ]);
            }
        }
    }
}

#[test]
fn references_that_cannot_be_compared() {
    let check = |mentioned: &[&str], change: &dyn Fn(&mut Tensors)| {
        let outcome = compare("gpt2", change);
        outcome.refused(&[&["reference.safetensors"], mentioned].concat());
    };
    check(&["f32/1/resid_post", "no such activation"], &|tensors| {
        tensor(tensors, "f32/1/resid.post").0 = "f32/1/resid_post".to_owned();
    });
    check(&["tokens"], &|tensors| {
        tensors.retain(|tensor| tensor.0 != "tokens")
    });
    check(&["tokens", "expected I64 or I32", "F64"], &|tensors| {
        tensor(tensors, "tokens").1 = Dtype::F64;
    });
    check(&["tokens", "-1", "at least 0"], &|tensors| {
        tensor(tensors, "tokens").3[..8].copy_from_slice(&(-1_i64).to_le_bytes());
    });
    check(&["token", "29"], &|tensors| {
        tensor(tensors, "tokens").3[..8].copy_from_slice(&29_i64.to_le_bytes());
    });
    check(&["tokens", "[seq]", "found [1, "], &|tensors| {
        tensor(tensors, "tokens").2.insert(0, 1);
    });
    check(&["token"], &|tensors| {
        let tokens = tensor(tensors, "tokens");
        (tokens.2, tokens.3) = (vec![0], Vec::new());
    });
    check(&["17", "16"], &|tensors| {
        let tokens = tensor(tensors, "tokens");
        (tokens.2, tokens.3) = (vec![17], vec![0; 17 * 8]);
    });
    check(&["f32/0/attn.out", "expected the shape"], &|tensors| {
        tensor(tensors, "f32/0/attn.out").2.push(1);
    });
    check(&["contains no activation"], &|tensors| {
        tensors.retain(|tensor| !tensor.0.starts_with("f32/"));
    });
}

#[test]
fn files_that_are_no_reference() {
    let sandbox = Sandbox::new();
    let model = tiny("gpt2");
    sandbox.write("text.safetensors", b"not tensors");
    for (arguments, mentioned) in [
        (
            [model.as_str(), "missing.safetensors"],
            ["missing.safetensors", "not found"],
        ),
        (
            [&model, "text.safetensors"],
            [
                "text.safetensors",
                "found text that begins with \"not tens\"",
            ],
        ),
        ([&model, "."], [".", "expected a regular file"]),
        (
            ["no-such-model", "text.safetensors"],
            [
                "text.safetensors",
                "found text that begins with \"not tens\"",
            ],
        ),
    ] {
        sandbox
            .xtask(&[["diff-sites"].as_slice(), &arguments].concat())
            .refused(&mentioned);
    }
}
