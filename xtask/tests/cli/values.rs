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
    // A norm that subtracts the mean would not notice equal numbers.
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
    check(
        &["add(embed,v,1)"],
        &[
            "add(embed,v,1)",
            "a tensor `v`",
            "give a file that contains it with --vectors",
        ],
    );
    check(
        &["add(embed,w,1)", "--vectors", "v.safetensors"],
        &["a tensor `w`"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "nan.safetensors"],
        &["tensor \"v\"", "NaN"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "short.safetensors"],
        &["[16]", "[15]"],
    );
    check(
        &["add(embed,v,1)", "--vectors", "ids.npy"],
        &["ids.npy", "header length"],
    );
    check(
        &["zero(embed)", "--vectors", "v.safetensors"],
        &["--vectors v.safetensors: no edit takes a tensor from this file"],
    );
    check(&["donor(embed)"], &["donor(embed)", "pairs"]);
    check(&["zero(embed@9)"], &["position 9 is out of range"]);
    check(
        &["zero(mlp.post[0,h])"],
        &["set the largest number of members"],
    );
    check(&["cut(0,0,0,0)"], &["cut(0,0,0,0)", "without any key"]);
}

#[test]
fn pairs_are_patched_and_their_shards_merged() {
    let sandbox = Sandbox::new();
    let line = |clean: &[u16], corrupted: &[u16], answer: u16| {
        format!(
            "{{\"clean\":{clean:?},\"corrupted\":{corrupted:?},\"answer\":{answer},\"wrong\":[7]}}\n"
        )
    };
    let rows = token_ids(8, 5, 29);
    let lines = rows.chunks(2).zip([1, 2, 3, 4]);
    let lines: String = lines
        .map(|(pair, answer)| line(&pair[0], &pair[1], answer))
        .collect();
    sandbox.write("pairs.jsonl", lines.as_bytes());
    let model = tiny("gpt2");
    let run = |out: &str, more: &[&str]| {
        let fixed = [
            "sweep",
            "donor(resid.post[l]@p)",
            "donor(embed)",
            "zero(attn.head_out[1,h])",
            "drop(l)",
            "--model",
            &model,
            "--pairs",
            "pairs.jsonl",
            "--out",
            out,
        ];
        sandbox.xtask(&[&fixed, more].concat()).succeeded()
    };
    run("out.csv", &["--threads", "1"]);
    let bytes = sandbox.read("out.csv");
    let table = Table::new(&bytes);
    assert_eq!(table.rows.len(), 1 + 3 * 5 + 1 + 4 + 3);
    let row = |edit: &str| {
        let mut rows = 0..table.rows.len();
        rows.find(|row| table.text(*row, "schedule") == edit)
            .unwrap()
    };
    let patched = row("donor(resid.post[2]@4)");
    assert_eq!(
        ["l", "h", "p", "sequences"].map(|column| table.text(patched, column)),
        ["2", "", "4", "4"]
    );
    assert_eq!(table.text(row("zero(attn.head_out[1,3])"), "h"), "3");
    // The output depends only on the last position of the last block.
    for (edit, recovered) in [
        ("id", 0.0),
        ("donor(embed)", 1.0),
        ("donor(resid.post[2]@4)", 1.0),
    ] {
        assert_eq!(table.number(row(edit), "recovered"), recovered, "{edit}");
    }
    assert!(table.number(row("drop(1)"), "answer_rank") >= 1.0);
    assert!(table.number(row("drop(1)"), "kl_nats") > 0.0);
    assert!(table.number(row("drop(1)"), "logit_difference_nats_se") > 0.0);
    run("again.csv", &["--threads", "3"]);
    assert_eq!(sandbox.read("again.csv"), bytes);
    run("a.csv", &["--shard", "1/2"]);
    run("b.csv", &["--shard", "2/2"]);
    let merged = ["merge", "a.csv.run", "b.csv.run", "--out", "merged.csv"];
    sandbox.xtask(&merged).succeeded();
    assert_eq!(sandbox.read("merged.csv"), bytes);
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["pairs"]["file"], "pairs.jsonl");
    // Without a file, a printed table of what is restored.
    let fixed = [
        "sweep",
        "donor(embed)",
        "--model",
        &model,
        "--pairs",
        "pairs.jsonl",
    ];
    let printed = sandbox.xtask(&fixed).succeeded().stdout;
    assert!(
        printed.contains("4 pairs") && printed.contains("recovered"),
        "{printed}"
    );
}

#[test]
fn means_are_kept_with_a_run_and_sources_are_told() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 9, 29));
    sandbox.write("other.npy", &crate::npy(&token_ids(7, 9, 29)));
    sandbox.write(
        "v.safetensors",
        &vectors(&[("v", &[0.5; 16]), ("unused", &[1.0])]),
    );
    let model = tiny("gpt2");
    let run = |more: &[&str]| {
        let edits = [
            "mean(attn.head_out[l,h])",
            "resample(mlp.out[1])",
            "add(embed,v,1)",
        ];
        let fixed = [
            "--model",
            &model,
            "--vectors",
            "v.safetensors",
            "--reference",
            "other.npy",
        ];
        sandbox
            .sweep(&[&edits[..], &fixed, more].concat())
            .succeeded()
    };
    let told = run(&[]).stderr;
    assert!(
        told.contains("one plain pass for means at 3 places, over 7 sequences"),
        "{told}"
    );
    let bytes = sandbox.read("out.csv");
    let sources = &sandbox.json("out.csv.run/manifest.json")["runs"][0]["sources"];
    assert_eq!(sources["reference"]["sequences"], 7);
    assert_eq!(sources["mean_places"], 3);
    assert_eq!(sources["sequences_without_partner"], 0);
    assert_eq!(sources["tensors"], serde_json::json!(["unused", "v"]));
    assert_eq!(sources["vectors"]["sha256"].as_str().unwrap().len(), 64);
    let kept: Vec<_> = sandbox.contents();
    let kept = kept
        .iter()
        .filter(|path| path.starts_with("out.csv.run/means.run"));
    assert_eq!(kept.count(), 2, "the folder, and a journal of sums");
    // All of it is reused.
    std::fs::remove_file(sandbox.path("out.csv")).unwrap();
    let told = run(&[]).stderr;
    assert!(
        told.contains("7 parts of the reference text were finished by an earlier run"),
        "{told}"
    );
    assert_eq!(sandbox.read("out.csv"), bytes);
    let planned = run(&["--dry-run"]).stderr;
    assert!(planned.contains("one plain pass for means"), "{planned}");
}

/// `--rows` and `--tokens` cut the text that is measured, not the text of means.
#[test]
fn a_reference_text_is_read_whole() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 9, 29));
    sandbox.write("other.npy", &crate::npy(&token_ids(7, 9, 29)));
    let model = tiny("gpt2");
    for cut in [["--rows", "2"], ["--tokens", "20"]] {
        let on = ["--model", &model, "--reference", "other.npy", "--fresh"];
        let edits = ["mean(mlp.out[l])"];
        let told = sandbox.sweep(&[&edits[..], &on, &cut].concat()).succeeded();
        let told = told.stderr;
        assert!(told.contains("over 7 sequences, 63 tokens"), "{told}");
        let run = &sandbox.json("out.csv.run/manifest.json")["runs"][0];
        assert_eq!(run["sources"]["reference"]["sequences"], 7);
        assert_ne!(run["corpus"]["sequences"], 5);
    }
}

/// Pairs cannot be cut to one length.
#[test]
fn pairs_without_a_partner_are_refused_with_what_helps() {
    let sandbox = Sandbox::new();
    let lines = "{\"clean\":[1,2,3,4],\"corrupted\":[4,5,6,7],\"answer\":1}\n{\"clean\":[1,2,3],\"corrupted\":[4,5,6],\"answer\":1}\n";
    sandbox.write("pairs.jsonl", lines.as_bytes());
    let model = tiny("gpt2");
    let on = ["--model", &model, "--pairs", "pairs.jsonl"];
    let arguments = [&["sweep", "resample(mlp.out[l])"][..], &on].concat();
    let expected = "to be resampled from; give at least two pairs of one length";
    sandbox.xtask(&arguments).refused(&[expected]);
}

#[test]
fn sequences_without_a_partner_are_left_out_and_counted() {
    let sandbox = Sandbox::new();
    let text = "{\"text\": \"The cat sat on the mat.\"}\n{\"text\": \"Once upon a time there was a very old house.\"}\n{\"text\": \"The cat sat on the mat.\"}\n";
    sandbox.write("text.jsonl", text.as_bytes());
    let fixed = [
        "sweep",
        "resample(mlp.out[0])",
        "--model",
        "gpt2-8x160",
        "--corpus",
        "text.jsonl",
    ];
    let run = |more: &[&str]| sandbox.xtask(&[&fixed, more].concat());
    let told = run(&["--out", "out.csv"]).succeeded().stderr;
    assert!(told.contains("1 of 3 sequences are left out"), "{told}");
    let table = Table::new(&sandbox.read("out.csv"));
    assert_eq!(table.text(0, "sequences"), "2");
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(
        manifest["runs"][0]["sources"]["sequences_without_partner"],
        1
    );
    run(&["--rows", "2", "--out", "none.csv"]).refused(&["no sequence has another of its length"]);
    assert!(!sandbox.path("none.csv.run").exists());
}

/// Pairs are read as other JSON lines are: behind a byte order mark and compressed, with an error that names the line once.
#[test]
fn pairs_are_read_as_other_lines_are() {
    let sandbox = Sandbox::new();
    let model = tiny("gpt2");
    let lines = "{\"clean\":[1,2,3],\"corrupted\":[4,5,6],\"answer\":1}\n";
    let run = |file: &str, bytes: &[u8]| {
        sandbox.write(file, bytes);
        let fixed = ["sweep", "donor(embed)", "--model", &model];
        let on = ["--pairs", file, "--out", "out.csv", "--fresh"];
        sandbox.xtask(&[&fixed[..], &on].concat())
    };
    run("pairs.jsonl", lines.as_bytes()).succeeded();
    let expected = sandbox.read("out.csv");
    let marked = format!("\u{feff}{lines}");
    run("marked.jsonl", marked.as_bytes()).succeeded();
    assert!(sandbox.read("out.csv") == expected);
    let bad = format!("{lines}{{\"clean\": ");
    let says = "bad.jsonl: line 2: expected a JSON object: EOF while parsing a value at column 1";
    run("bad.jsonl", bad.as_bytes()).refused(&[says]);
}
