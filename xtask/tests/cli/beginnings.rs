//! The token before each text: taken from the checkpoint's own tokenizer, reported and recorded.

use crate::{Sandbox, fixtures, narrow, token_ids};
use std::fs;

/// Writes a GPT-2 model with one of the small tokenizers of `fixtures/tokenizers` to the folder `model`.
fn with_model(kind: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let model = sandbox.path("model");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(
            fixtures().join("models/gpt2-8x160").join(file),
            model.join(file),
        )
        .unwrap();
    }
    for entry in fs::read_dir(fixtures().join("tokenizers").join(kind)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    sandbox
}

/// Runs such a model on a text; returns the messages and the manifest's entry of the corpus.
fn run(kind: &str, text: &str, more: &[&str]) -> (String, serde_json::Value) {
    let sandbox = with_model(kind);
    fs::write(sandbox.path("text.txt"), text).unwrap();
    let arguments = [
        "sweep", "drop(0)", "--model", "model", "--corpus", "text.txt", "--out", "out.csv",
    ];
    let outcome = sandbox.xtask(&[&arguments[..], more].concat()).succeeded();
    let manifest = sandbox.json("out.csv.run/manifest.json");
    (outcome.stderr, manifest["runs"][0]["corpus"].clone())
}

#[test]
fn what_stands_before_a_text_is_told_with_its_source_and_recorded() {
    let check = |kind: &str, more: &[&str], bos: Option<u32>, source: &str| {
        let (said, corpus) = run(kind, "A text of a few words.", more);
        assert_eq!(corpus["bos"].as_u64(), bos.map(u64::from), "{kind}");
        let recorded = corpus["bos_source"].as_str().unwrap();
        assert!(recorded.starts_with(source), "{kind}: {recorded}");
        let is_told = said.contains(&format!("before each text of text.txt, by {recorded}"));
        assert_eq!(is_told, more.is_empty(), "{kind}: {said}");
    };
    check("gpt2", &[], Some(0), "the habit of the family");
    check("gpt2-files", &[], Some(0), "the habit of the family");
    check(
        "llama-2",
        &[],
        Some(1),
        "the post-processor of tokenizer.json",
    );
    check(
        "opt-files",
        &[],
        Some(2),
        "add_bos_token of tokenizer_config.json",
    );
    check(
        "add-bos-false",
        &[],
        None,
        "add_bos_token of tokenizer_config.json",
    );
    check("chat-marker", &[], None, "the tokenizer, which adds none");
    check("chat-marker", &["--bos", "1"], Some(1), "the option --bos");
    check("gpt2", &["--bos", "none"], None, "the option --bos");
}

#[test]
fn a_text_that_spells_its_bos_is_told() {
    let says = "1 of 1 documents begin with the text of the BOS token";
    let (said, _) = run("gpt2", "<|endoftext|>A text of a few words.", &[]);
    assert!(said.contains(says), "{said}");
    for (text, more) in [
        ("A text of a few words.<|endoftext|>", [].as_slice()),
        ("<|endoftext|>A text of a few words.", &["--bos", "none"]),
    ] {
        let (said, _) = run("gpt2", text, more);
        assert!(!said.contains("begins with the BOS"), "{said}");
    }
}

/// As a prompt of other commands, a side of a pair that spells its BOS has one such token.
#[test]
fn a_pair_that_spells_its_bos_has_one() {
    let table = |bos: &str| {
        let sandbox = with_model("gpt2");
        let pair = format!(
            "{{\"clean\":\"{bos}A red cat\",\"corrupted\":\"{bos}A cat red\",\"answer\":1}}"
        );
        sandbox.write("pairs.jsonl", pair.as_bytes());
        let on = ["--model", "model", "--pairs", "pairs.jsonl"];
        let sweep = ["sweep", "drop(0)", "--out", "out.csv"];
        sandbox.xtask(&[&sweep[..], &on].concat()).succeeded();
        sandbox.read("out.csv")
    };
    assert!(table("<|endoftext|>") == table(""));
}

/// A tokenizer in another form is named, with the line that converts it.
#[test]
fn other_forms_of_tokenizers_are_named_with_their_conversion() {
    for file in ["tokenizer.model", "spiece.model", "vocab.txt", "vocab.json"] {
        let sandbox = Sandbox::new();
        let model = sandbox.path("model");
        fs::create_dir(&model).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(
                fixtures().join("models/gpt2-8x160").join(file),
                model.join(file),
            )
            .unwrap();
        }
        fs::write(model.join(file), "{}").unwrap();
        fs::write(sandbox.path("text.txt"), "A text.").unwrap();
        let arguments = [
            "sweep", "drop(0)", "--model", "model", "--corpus", "text.txt", "--out", "out.csv",
        ];
        let says = [
            "expected tokenizer.json",
            file,
            "AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])\" model",
        ];
        sandbox.xtask(&arguments).refused(&says);
    }
}

#[test]
fn what_a_tokenizer_puts_after_a_text_is_told_and_left_out() {
    for (kind, text, id) in [("both-ends", "</s>", 1), ("add-eos-files", "</s>", 2)] {
        let (said, corpus) = run(kind, "A text of a few words.", &[]);
        let told = format!("its tokenizer puts {text:?} after a text; this is left out");
        assert!(said.contains(&told), "{kind}: {said}");
        assert_eq!(corpus["eos_left_out"], serde_json::json!([id]), "{kind}");
    }
    let (said, corpus) = run("gpt2", "A text of a few words.", &[]);
    assert!(!said.contains("after a text"), "{said}");
    assert_eq!(corpus["eos_left_out"], serde_json::json!([]));
}

/// The option holds for tasks too; without it they begin as the tokenizer says.
#[test]
fn tasks_begin_as_the_user_asks() {
    let sandbox = with_model("llama-2");
    let item = br#"{"prompt": "A text of", "options": ["few words", "words"], "gold": 0}"#;
    sandbox.write("own.jsonl", item);
    let check = |more: &[&str], bos: Option<u32>, told: &str| {
        let on = ["--model", "model", "--tasks", "own.jsonl"];
        let out = ["--out", "out.csv", "--fresh"];
        let arguments = [&["sweep", "drop(0)"], &on[..], &out, more].concat();
        let said = sandbox.xtask(&arguments).succeeded().stderr;
        assert!(said.contains(told), "{more:?}: {said}");
        let run = &sandbox.json("out.csv.run/manifest.json")["runs"][0];
        let recorded = run["tasks_bos"].as_u64();
        assert_eq!(recorded, bos.map(u64::from), "{more:?}");
    };
    let by_rule = "(\"<s>\") before each item of the tasks, as in lm-evaluation-harness";
    check(&[], Some(1), by_rule);
    check(&["--bos", "auto"], Some(1), by_rule);
    let asked = "nothing before each item of the tasks, by the option --bos";
    check(&["--bos", "none"], None, asked);
    check(&["--bos", "5"], Some(5), "token 5 (");
}

/// A corpus of token ids takes nothing away from other texts, and `--bos none` does.
#[test]
fn other_texts_begin_alike_whatever_the_corpus_is() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 16, 29));
    let name = narrow(&sandbox);
    let run = |out: &str, more: &[&str]| {
        let fixed = ["reproduce", "patching", "--model", name, "--out", out];
        let said = sandbox.xtask(&[&fixed, more].concat()).succeeded().stderr;
        let table = sandbox.read(&format!("{out}/{name}/patching.csv"));
        let manifest = sandbox.json(&format!("{out}/manifest.json"));
        (said, table, manifest["runs"][0].clone())
    };
    let (said, on_text, of_text) = run("text", &["--tokens", "600"]);
    assert!(!said.contains("before each text besides"), "{said}");
    assert_eq!(of_text["other_texts"]["bos"], 0);
    assert_eq!(of_text["other_texts"]["bos"], of_text["corpus"]["bos"]);

    let (said, on_ids, of_ids) = run("ids", &["--corpus", "ids.npy"]);
    let told = "before each text besides ids.npy, by the habit of the family";
    assert!(said.contains(told), "{said}");
    assert!(of_ids["corpus"]["bos"].is_null());
    assert_eq!(of_ids["other_texts"], of_text["other_texts"]);
    assert!(on_ids == on_text);

    let (said, without, of_none) = run("none", &["--corpus", "ids.npy", "--bos", "none"]);
    assert!(!said.contains("before each text besides"), "{said}");
    assert!(of_none["other_texts"]["bos"].is_null());
    assert_eq!(of_none["other_texts"]["bos_source"], "the option --bos");
    assert!(without != on_text);
}
