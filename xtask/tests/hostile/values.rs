//! 87: edits of values, and the files that they take values from; 92: labels of tokens.

use crate::sandbox::Sandbox;
use crate::{Case, check};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn edit(what: &'static str, edit: &'static str, says: &[&str]) -> Case {
    let arguments = [
        "sweep", edit, "--model", "model", "--corpus", "ids.npy", "--out", "out.csv",
    ];
    Case::refused((87, what), |_| (), &[&[edit], says].concat()).exactly(&arguments)
}

/// Edits alone: all are refused before any tensor is touched.
pub(crate) fn edits() -> Vec<Case> {
    vec![
        edit(
            "value edit of an unknown site",
            "zero(attn.heads[0])",
            &["unknown site `attn.heads`", "attn.head_out"],
        ),
        Case::refused(
            (87, "value edit of a site that the family lacks"),
            |sandbox| sandbox.write_model("gpt2"),
            &["zero(mlp.up[1])", "mlp.up", "the MLP has no gate"],
        )
        .on("ids.npy", &["zero(mlp.up[1])"]),
        edit(
            "value edit of a read-only site",
            "zero(attn.norm[0])",
            &["attn.norm"],
        ),
        edit(
            "value edit of a block out of range",
            "zero(mlp.out[2])",
            &["2 is out of range", "2 blocks"],
        ),
        edit(
            "value edit of a head out of range",
            "zero(attn.head_out[0,2])",
            &["2 is out of range", "2 heads"],
        ),
        edit(
            "value edit of a KV head out of range",
            "zero(attn.k[0,1])",
            &["1 is out of range", "KV head"],
        ),
        edit(
            "value edit of a neuron out of range",
            "scale(mlp.post[1,12],2)",
            &["12 is out of range", "12 neurons"],
        ),
        edit(
            "value edit of a dimension out of range",
            "zero(resid.post[1,-9])",
            &["-9 is out of range", "8 dimensions"],
        ),
        edit(
            "value edit at a position out of range",
            "zero(resid.post[1]@8)",
            &["position 8 is out of range", "8 tokens"],
        ),
        edit(
            "value edit at positions that no sequence has",
            "zero(embed@-9)",
            &["-9 is out of range", "8 tokens"],
        ),
        edit("mean of a pattern", "mean(attn.pattern[0])", &["pattern"]),
        edit("donor without pairs", "donor(embed)", &["pairs"]),
        edit("embed with a block", "zero(embed[0])", &["embed"]),
        edit(
            "query without a key left",
            "cut(1,0,2,0..)",
            &["without any key"],
        ),
        edit(
            "queries that windows and cuts leave without a key",
            "window(1,1,strict);cut(1,1,3,3)",
            &["without any key"],
        ),
        edit("window of no token", "window(0,0)", &["count 0", "1..="]),
        edit(
            "steering by more than all numbers",
            "add(embed,v,1e999)",
            &["1e999"],
        ),
        edit(
            "name of a tensor that cannot be one",
            "put(embed,a b)",
            &["expected", "found"],
        ),
        edit(
            "family over units without a limit",
            "zero(mlp.post[l,h])",
            &["members"],
        ),
        edit(
            "open range of blocks out of range",
            "zero(mlp.out[2..])",
            &["2 is out of range", "2 blocks"],
        ),
        Case::refused(
            (87, "family over positions of sequences that differ"),
            |sandbox| {
                let rows = "{\"clean\":[1,2,3],\"corrupted\":[1,2,4]}\n{\"clean\":[1,2,3,4],\"corrupted\":[1,2,4,4]}\n";
                sandbox.write("pairs.jsonl", rows.as_bytes());
            },
            &["donor(embed@p)", "positions"],
        )
        .exactly(&[
            "sweep", "donor(embed@p)", "--model", "model", "--pairs", "pairs.jsonl", "--out",
            "out.csv",
        ]),
    ]
}

/// A file of tensors: name, type, shape and bytes.
fn tensors(all: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = all.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
        ((*name).to_owned(), view)
    });
    safetensors::serialize(views, None).unwrap()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A file for `--vectors`, and an edit that takes `v` from it.
fn vectors(what: &'static str, make: impl Fn(&Sandbox) + 'static, says: &[&str]) -> Case {
    Case::refused((87, what), make, says).exactly(&[
        "sweep",
        "add(resid.pre[1],v,0.5)",
        "--model",
        "model",
        "--corpus",
        "ids.npy",
        "--out",
        "out.csv",
        "--vectors",
        "v.safetensors",
    ])
}

fn of_bytes(what: &'static str, bytes: Vec<u8>, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write("v.safetensors", &bytes);
    vectors(what, make, says)
}

/// Files of named tensors.
pub(crate) fn named_tensors() -> Vec<Case> {
    let one = |name: &str, dtype, shape: &[usize], bytes: Vec<u8>| {
        tensors(&[(name, dtype, shape.to_vec(), bytes)])
    };
    let edit = "add(resid.pre[1";
    vec![
        of_bytes(
            "missing vector",
            one("w", Dtype::F32, &[8], floats(&[1.0; 8])),
            &[edit, "tensor `v`"],
        ),
        of_bytes(
            "vector of another shape",
            one("v", Dtype::F32, &[7], floats(&[1.0; 7])),
            &[edit, "[8]", "[7]"],
        ),
        of_bytes(
            "vector with NaN",
            one("v", Dtype::F32, &[8], floats(&[f32::NAN; 8])),
            &["v.safetensors", "\"v\"", "expected finite values", "NaN"],
        ),
        of_bytes(
            "vector of integers",
            one("v", Dtype::I32, &[8], vec![0; 32]),
            &["v.safetensors", "v", "I32"],
        ),
        of_bytes(
            "vector of no dimension",
            one("v", Dtype::F32, &[0], Vec::new()),
            &["v.safetensors", "v", "[0]"],
        ),
        of_bytes(
            "vectors in a truncated file",
            one("v", Dtype::F32, &[8], floats(&[1.0; 8]))[..60].to_vec(),
            &["v.safetensors", "expected", "found"],
        ),
        of_bytes("vectors in an empty file", Vec::new(), &["v.safetensors"]),
        of_bytes(
            "vectors in a file of text",
            b"not a tensor in sight".to_vec(),
            &["v.safetensors", "expected", "found"],
        ),
        vectors(
            "vectors that are a FIFO",
            |sandbox| crate::folder::make_fifo(sandbox, "v.safetensors"),
            &["v.safetensors", "expected a regular file", "found a FIFO"],
        ),
        vectors(
            "vectors that are missing",
            |_| (),
            &["v.safetensors", "No such file"],
        ),
    ]
}

fn pairs(what: &'static str, lines: &'static str, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write("pairs.jsonl", lines.as_bytes());
    Case::refused((87, what), make, &[&["pairs.jsonl"], says].concat()).exactly(&[
        "sweep",
        "donor(embed)",
        "--model",
        "model",
        "--pairs",
        "pairs.jsonl",
        "--out",
        "out.csv",
    ])
}

/// Files of pairs.
pub(crate) fn files_of_pairs() -> Vec<Case> {
    vec![
        pairs(
            "pair with sides of different lengths",
            "{\"clean\":[1,2,3],\"corrupted\":[1,2,3]}\n{\"clean\":[1,2,3,4],\"corrupted\":[1,2,3]}\n",
            &["line 2", "found 4 in `clean` and 3 in `corrupted`"],
        ),
        pairs(
            "pair without a side",
            "{\"clean\":[1,2,3]}",
            &["line 1", "expected `corrupted`"],
        ),
        pairs(
            "pair that is not an object",
            "[1,2,3]",
            &["line 1", "expected a JSON object"],
        ),
        pairs(
            "pair with a key that means nothing",
            "{\"clean\":[1,2,3],\"corrupted\":[1,2,3],\"anwser\":1}",
            &["line 1", "`anwser`", "`answer`"],
        ),
        pairs(
            "pair of tokens outside the vocabulary",
            "{\"clean\":[1,2,4294967296],\"corrupted\":[1,2,3]}",
            &["line 1", "token ids below", "4294967296"],
        ),
        pairs(
            "pair of too few tokens",
            "{\"clean\":[1],\"corrupted\":[2]}",
            &["line 1", "expected 3 to 16 tokens", "found 1"],
        ),
        pairs(
            "pair of more tokens than the context",
            "{\"clean\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"corrupted\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
            &["line 1", "expected 3 to 16 tokens", "found 17"],
        ),
        pairs(
            "answer of several tokens",
            "{\"clean\":[1,2,3],\"corrupted\":[1,2,4],\"answer\":\"two words\"}",
            &["line 1", "`answer`", "expected the one token"],
        ),
        pairs(
            "wrong token without an answer",
            "{\"clean\":[1,2,3],\"corrupted\":[1,2,4],\"wrong\":7}",
            &["line 1", "found `wrong` without `answer`"],
        ),
        pairs(
            "pairs in an empty file",
            "\n\n",
            &["expected a pair on each line"],
        ),
    ]
}

fn labels(what: &'static str, lines: &'static [u8], says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write("labels.jsonl", lines);
    Case::refused((92, what), make, &[&["labels.jsonl"], says].concat()).exactly(&[
        "sweep",
        "drop(l)",
        "--model",
        "model",
        "--corpus",
        "ids.npy",
        "--out",
        "out.csv",
        "--per-token",
        "tokens.safetensors",
        "--classes",
        "classes.csv",
        "--labels",
        "labels.jsonl",
    ])
}

/// Files of labels of tokens: 92.
pub(crate) fn files_of_labels() -> Vec<Case> {
    vec![
        labels(
            "labels of fewer tokens than a sequence has",
            b"[\"a\", null]\n",
            &["line 1", "labels, one for each token", "found 2"],
        ),
        labels(
            "labels that are numbers",
            b"[1, 2, 3, 4, 5, 6, 7, 8]\n",
            &["line 1", "expected a JSON array of labels"],
        ),
        labels("labels in an empty file", b"\n\n", &["found 0 lines"]),
        labels(
            "labels that are not UTF-8",
            b"[\"\xff\"]\n",
            &["line 1", "expected UTF-8"],
        ),
        labels(
            "labels without a name",
            b"[\"\", null, null, null, null, null, null, null]\n",
            &["line 1", "expected labels of 1 to 100 bytes"],
        ),
        labels(
            "labels nested without end",
            b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            &["line 1", "expected a JSON array of labels"],
        ),
    ]
}

#[test]
fn labels_that_do_not_fit() {
    check(files_of_labels());
}

#[test]
fn edits_of_values_that_cannot_be() {
    check(edits());
}

#[test]
fn files_of_named_tensors() {
    check(named_tensors());
}

#[test]
fn pairs_that_are_none() {
    check(files_of_pairs());
}
