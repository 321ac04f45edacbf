//! `generate`: shows what a model writes.

use crate::statistics::embedded_model;
use crate::{Sandbox, tiny};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::Model;
use serde_json::Value;
use std::process::Stdio;

/// One line of JSON for each edit.
fn lines(arguments: &[&str]) -> Vec<Value> {
    let said = Sandbox::new()
        .xtask(&[&["generate", "--json"], arguments].concat())
        .succeeded()
        .stdout;
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The most likely tokens, found by running the whole text for each.
fn again(model: &Model, edit: &str, prompt: &[u32], count: usize) -> Vec<u32> {
    let plain = Schedule::plain(model.stack()).unwrap();
    let schedule = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
    let mut text = prompt.to_vec();
    for _ in 0..count {
        let logits = model.logits(&text, &schedule).unwrap();
        let last = logits.row(logits.nrows() - 1);
        let best = (0..last.len())
            .rev()
            .max_by(|a, b| last[*a].total_cmp(&last[*b]));
        text.push(best.unwrap() as u32);
    }
    text.split_off(prompt.len())
}

#[test]
fn each_edit_has_a_line_with_the_tokens_of_running_all_again() {
    let folder = tiny("llama-gqa-tied");
    let model = Model::open(&folder).unwrap();
    let edits = ["id", "drop(0)", "repeat(1)", "id"];
    let mut arguments = vec!["--model", &folder, "--ids", "3,1,4", "--max-tokens", "5"];
    for edit in &edits[1..] {
        arguments.extend(["--edit", edit]);
    }
    let lines = lines(&arguments);
    assert_eq!(lines.len(), edits.len());
    let plain = again(&model, "id", &[3, 1, 4], 5);
    for (line, edit) in lines.iter().zip(edits) {
        let expected = again(&model, edit, &[3, 1, 4], 5);
        let ids: Vec<u32> = serde_json::from_value(line["ids"].clone()).unwrap();
        // A token that ends a text may have come first.
        assert!(expected.starts_with(&ids), "{edit}: {ids:?}, {expected:?}");
        assert_eq!(line["edit"], edit);
        assert_eq!(line["prompt_ids"], serde_json::json!([3, 1, 4]));
        assert_eq!(line["text"], Value::Null, "there is no tokenizer");
        let logprobs: Vec<f64> = serde_json::from_value(line["logprobs"].clone()).unwrap();
        assert_eq!(logprobs.len(), ids.len());
        assert!(logprobs.iter().all(|it| *it < 0.0), "{logprobs:?}");
        assert!(line["prefill_tokens_per_s"].as_f64().unwrap() > 0.0);
        let at = (0..5).find(|at| plain.get(*at) != ids.get(*at));
        let at = at.filter(|_| edit != "id");
        assert_eq!(line["first_difference"], serde_json::json!(at), "{edit}");
    }
    assert_eq!(lines[0]["ids"], lines[3]["ids"]);
    assert!(lines.iter().any(|line| line["ids"] != lines[0]["ids"]));
}

#[test]
fn what_keys_and_values_in_bf16_change_is_told() {
    let folder = tiny("llama-gqa-tied");
    let fixed = ["generate", "--model", &folder, "--ids", "3,1,4"];
    let outcome = Sandbox::new().xtask(&[&fixed[..], &["--cache", "bf16"]].concat());
    if layerwise::kernels::bf16_features().is_none() {
        return outcome.refused(&["bf16", "avx512bf16"]);
    }
    let said = outcome.succeeded().stderr;
    let told = "keys and values in bf16: over the 3 tokens of the prompt";
    assert!(said.contains(told) && said.contains("nats"), "{said}");
}

#[test]
fn threads_change_no_token_and_no_probability() {
    let folder = tiny("llama-gqa-tied");
    let of = |threads| {
        let fixed = ["--model", &folder, "--ids", "3,1,4", "--edit", "repeat(1)"];
        lines(&[&fixed[..], &["--threads", threads]].concat())
    };
    let (one, three) = (of("1"), of("3"));
    for field in ["ids", "logprobs"] {
        for (one, three) in one.iter().zip(&three) {
            assert_eq!(one[field], three[field]);
        }
    }
}

#[test]
fn text_comes_alone_or_below_the_name_of_its_edit() {
    let [name, _] = embedded_model();
    let fixed = [
        "generate",
        "--model",
        &name,
        "The city of",
        "--max-tokens",
        "8",
    ];
    let sandbox = Sandbox::new();
    let alone = sandbox.xtask(&fixed).succeeded();
    assert!(!alone.stdout.trim().is_empty() && !alone.stdout.contains("tokens/s"));
    assert!(alone.stderr.contains("8 tokens"), "{}", alone.stderr);
    let several = [&fixed[..], &["--edit", "drop(1)", "--edit", "id"]].concat();
    let several = sandbox.xtask(&several).succeeded().stdout;
    assert!(
        several.starts_with(&format!("id\n{}", alone.stdout)),
        "{several}"
    );
    assert!(several.contains("\ndrop(1)\n"), "{several}");
    assert!(several.contains("differs from token"), "{several}");
    assert!(
        several.contains("same tokens as the plain model"),
        "{several}"
    );

    let lines = lines(&fixed[1..]);
    let text = lines[0]["text"].as_str().unwrap();
    assert_eq!(format!("{text}\n"), alone.stdout);
    // The text ends before its second word.
    let word = text.split_whitespace().nth(1).unwrap();
    let stopped = sandbox
        .xtask(&[&fixed[..], &["--stop", word]].concat())
        .succeeded();
    let expected = &text[..text.find(word).unwrap()];
    assert_eq!(stopped.stdout, format!("{expected}\n"));

    let drawn = |seed| {
        let drawing = ["--temperature", "1", "--top-p", "0.9", "--seed", seed];
        sandbox
            .xtask(&[&fixed[..], &drawing].concat())
            .succeeded()
            .stdout
    };
    assert_eq!(drawn("5"), drawn("5"));
    let several: std::collections::BTreeSet<String> = ["1", "2", "3", "4"].map(drawn).into();
    assert!(several.len() > 1);
}

#[test]
fn a_schedule_without_attention_is_said() {
    let folder = tiny("llama-gqa-tied");
    let model = Model::open(&folder).unwrap();
    let edit = format!("drop_attn(0..{})", model.config().layers);
    let fixed = [
        "generate",
        "--model",
        &folder,
        "--json",
        "--max-tokens",
        "3",
        "--edit",
        &edit,
    ];
    let of = |ids| {
        Sandbox::new()
            .xtask(&[&fixed[..], &["--ids", ids]].concat())
            .succeeded()
    };
    let (long, short) = (of("3,1,4"), of("9,4"));
    assert!(
        long.stderr
            .contains(&format!("{edit} has no attention left")),
        "{}",
        long.stderr
    );
    // Rotary positions act in attention alone.
    let ids = |outcome: &crate::Outcome| -> Value {
        let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
        last["ids"].clone()
    };
    assert_eq!(ids(&long), ids(&short));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let [name, _] = embedded_model();
    let arguments = ["generate", "--model", &name, "The", "--max-tokens", "200"];
    let mut child = Sandbox::new()
        .command(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let tiny = tiny("gpt2");
    let [embedded, _] = embedded_model();
    let refused = |model: &str, arguments: &[&str], mentioned: &[&str]| {
        let fixed = ["generate", "--model", model];
        let outcome = Sandbox::new().xtask(&[&fixed, arguments].concat());
        outcome.refused(mentioned);
        assert_eq!(outcome.stdout, "");
    };
    refused(&tiny, &["a text"], &["tokenizer.json", "--ids"]);
    refused(
        &tiny,
        &["--ids", "1", "--stop", "a"],
        &["tokenizer.json", "--stop-id"],
    );
    refused(&tiny, &[], &["PROMPT"]);
    refused(&tiny, &["text", "--ids", "1"], &["--ids"]);
    refused(
        &tiny,
        &["--ids", "999999"],
        &["999999", "expected an id below"],
    );
    refused(&tiny, &["--ids", "1,x"], &["x"]);
    let long = vec!["1"; 2000].join(",");
    refused(&tiny, &["--ids", &long], &["2000 tokens", "context"]);
    refused(&tiny, &["--ids", "1", "--edit", "drop(99)"], &["drop(99)"]);
    refused(
        &tiny,
        &["--ids", "1", "--edit", "nonsense(1)"],
        &["nonsense"],
    );
    refused(
        &tiny,
        &["--ids", "1", "--top-p", "0.5"],
        &["top-p", "temperature 0"],
    );
    refused(
        &tiny,
        &["--ids", "1", "--temperature", "nan"],
        &["temperature"],
    );
    refused(
        &tiny,
        &["--ids", "1", "--max-tokens", "0"],
        &["--max-tokens"],
    );
    refused(&embedded, &["", "--bos", "none"], &["prompt is empty"]);
    refused(&embedded, &["The", "--max-memory", "1M"], &["memory"]);
}
