//! Models whose blocks stay in their files.

use crate::{Sandbox, Table, tiny, token_ids};
use std::fs;

#[test]
fn a_streamed_model_gives_the_bytes_of_one_in_memory() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 12, 29));
    let edits = [
        "drop(l)",
        "swap(l,m)",
        "keep(0..l)",
        "repeat(l,2)",
        "reverse(0..2)",
        "parallel(0..2)",
        "drop_attn(l);drop_mlp(0)",
        "plain(attn.pattern[1])",
        "mean(mlp.out[0])",
    ];
    for case in ["gpt2", "gpt_neox", "llama-gqa-tied", "gemma2", "phi"] {
        let model = tiny(case);
        let sweep = |out: &str, more: &[&str]| {
            let fixed = [
                "sweep", "--corpus", "ids.npy", "--model", &model, "--out", out,
            ];
            sandbox
                .xtask(&[&fixed, &edits[..], more].concat())
                .succeeded()
                .stderr
        };
        sweep("held.csv", &["--fresh"]);
        let expected = sandbox.read("held.csv");
        for threads in ["1", "3"] {
            let said = sweep(
                "streamed.csv",
                &["--fresh", "--stream", "--threads", threads],
            );
            assert!(
                said.contains("streamed: each block is read from its file whenever it runs"),
                "{said}"
            );
            assert!(
                sandbox.read("streamed.csv") == expected,
                "{case}, {threads} threads"
            );
        }
        // Streamed and unstreamed runs share a journal.
        let said = sweep("streamed.csv", &[]);
        assert!(
            said.contains("5 sequences of the sweep were finished by an earlier run"),
            "{said}"
        );
    }
}

#[test]
fn experiments_run_on_a_streamed_model() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let model = tiny("gpt2");
    let reproduce = |out: &str, more: &[&str]| {
        let fixed = [
            "reproduce",
            "robustness",
            "cka",
            "neurons",
            "lens-kl",
            "--corpus",
            "ids.npy",
            "--model",
            &model,
            "--out",
            out,
        ];
        sandbox.xtask(&[&fixed, more].concat()).succeeded();
    };
    reproduce("held", &[]);
    reproduce("streamed", &["--stream"]);
    for table in fs::read_dir(sandbox.path("held/gpt2")).unwrap() {
        let path = table.unwrap().path();
        if path.extension().is_some_and(|end| end == "csv") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(
                sandbox.read(&format!("streamed/gpt2/{name}")) == fs::read(&path).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_model_larger_than_the_memory_is_streamed() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 8, 29));
    let run = |limit: &str| {
        sandbox.xtask(&[
            "sweep",
            "drop(l)",
            "--model",
            "gpt2-8x160",
            "--corpus",
            "ids.npy",
            "--out",
            "out.csv",
            "--fresh",
            "--threads",
            "1",
            "--max-memory",
            limit,
        ])
    };
    assert!(!run("1G").succeeded().stderr.contains("streamed"));
    let expected = sandbox.read("out.csv");
    assert!(
        run("12M")
            .succeeded()
            .stderr
            .contains("gpt2-8x160: streamed: each block")
    );
    assert!(sandbox.read("out.csv") == expected);
    assert_eq!(Table::new(&expected).rows.len(), 9);
    let refused = run("100K");
    refused.refused(&["gpt2-8x160: the weights: needs", "streamed from its files"]);
    // The limit that the message gives suffices to open the model.
    let (_, least) = refused.stderr.split_once("--max-memory ").unwrap();
    let least = least.split_whitespace().next().unwrap();
    let said = run(least).stderr;
    assert!(said.contains("gpt2-8x160: streamed: each block"), "{said}");
}

/// A group of sequences brings each block into memory once, or once more if its schedules go back.
#[test]
fn schedules_of_a_group_run_a_block_together() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 12, 29));
    let read = |edits: &[&str]| {
        let fixed = ["--stream", "--corpus", "ids.npy", "--model", &tiny("gpt2")];
        let said = sandbox
            .xtask(&[&["sweep"], edits, &fixed].concat())
            .succeeded()
            .stderr;
        let told = said.split("read blocks from their files ").nth(1).unwrap();
        told.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let plain = read(&["id"]);
    let blocks = 3;
    assert!(plain > 0 && plain.is_multiple_of(blocks), "{plain}");
    assert_eq!(
        read(&["drop(l)", "keep(0..l)", "drop_attn(l)", "zero(mlp.out[l])"]),
        plain
    );
    // From the first block that runs late to the last.
    assert_eq!(read(&["swap(l,l+1)"]), plain + blocks);
    assert_eq!(
        read(&["drop(l)", "plain(attn.pattern[1])"]),
        plain + blocks - 1
    );
}
