//! `sweep` of edits of values.

use crate::{Sandbox, Table, tiny, token_ids};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A file of named tensors in f32.
fn vectors(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, values), bytes)| {
        let view = TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap();
        (name.to_string(), view)
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn edits_of_values_are_swept_like_edits_of_blocks() {
    let sandbox = Sandbox::with_ids(&token_ids(4, 9, 29));
    // A norm that subtracts the mean would not see equal numbers.
    let steering: Vec<f32> = (0..16_u8).map(f32::from).collect();
    sandbox.write(
        "v.safetensors",
        &vectors(&[("v", &steering), ("one", &[0.1; 4])]),
    );
    let model = tiny("gpt2");
    let edits = [
        "zero(attn.head_out[l,h])",
        "mean(attn.head_out[l,h])",
        "resample(mlp.out[l])",
        "scale(resid.post[1]@p,0.5)",
        "plain(mlp.out[1])",
        "zero(mlp.out[1])",
        "drop_mlp(1)",
        "add(resid.pre[1],v,0.5)",
        "put(attn.head_out[0,2],one)",
        "window(l,2)",
    ];
    let run = |threads: &str| {
        let fixed = [
            "--model",
            &model,
            "--vectors",
            "v.safetensors",
            "--threads",
            threads,
            "--fresh",
        ];
        sandbox.sweep(&[&edits[..], &fixed].concat()).succeeded();
        sandbox.read("out.csv")
    };
    let bytes = run("1");
    assert_eq!(bytes, run("3"));
    let table = Table::new(&bytes);
    let row = |edit: &str| {
        let found = (0..table.rows.len()).find(|row| table.text(*row, "schedule") == edit);
        found.unwrap_or_else(|| panic!("no row for {edit}"))
    };
    // Three blocks of four heads, and nine positions.
    assert_eq!(
        table.rows.len(),
        1 + 12 + 12 + 3 + 9 + 1 + 1 + 1 + 1 + 1 + 3
    );
    let kl = |edit: &str| table.number(row(edit), "kl_nats");
    assert_eq!(kl("plain(mlp.out[1])"), 0.0);
    assert_eq!(kl("zero(mlp.out[1])"), kl("drop_mlp(1)"));
    for edit in [
        "mean(attn.head_out[2,3])",
        "resample(mlp.out[0])",
        "scale(resid.post[1]@8,0.5)",
        "add(resid.pre[1],v,0.5)",
        "put(attn.head_out[0,2],one)",
        "window(0,2)",
    ] {
        assert!(kl(edit) > 0.0, "{edit}");
    }
}

#[test]
fn what_edits_of_values_lack_is_refused_and_named() {
    let rows = token_ids(3, 9, 29);
    let sandbox = Sandbox::with_ids(&rows);
    sandbox.write("v.safetensors", &vectors(&[("v", &[0.5; 16])]));
    sandbox.write("nan.safetensors", &vectors(&[("v", &[f32::NAN; 16])]));
    sandbox.write("short.safetensors", &vectors(&[("v", &[1.0; 15])]));
    let model = tiny("gpt2");
    let check = |arguments: &[&str], mentioned: &[&str]| {
        sandbox
            .sweep(&[arguments, &["--model", &model]].concat())
            .refused(mentioned);
    };
    check(&["add(embed,v,1)"], &["add(embed,v,1)", "a tensor `v`"]);
    check(
        &["add(embed,w,1)", "--vectors", "v.safetensors"],
        &["a tensor `w`"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "nan.safetensors"],
        &["tensor `v`", "NaN"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "short.safetensors"],
        &["[16]", "[15]"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "ids.npy"],
        &["ids.npy", "header length"],
    );
    check(&["donor(embed)"], &["donor(embed)", "pairs"]);
    check(&["zero(embed@9)"], &["position 9 is out of range"]);
    check(&["zero(mlp.post[0,h])"], &["how many members it may have"]);
    check(&["cut(0,0,0,0)"], &["cut(0,0,0,0)", "without any key"]);
}
