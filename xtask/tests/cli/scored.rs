//! `sweep --tasks`: tasks under any edits.

use crate::{Sandbox, Table, narrow};
use layerwise::corpus::Tokenizer;
use layerwise::schedule::{Edit, Schedule};
use layerwise::tasks::{Encoder, read_own};
use layerwise::transformer::Model;
use std::fs;

/// Of the last item the right option is not known.
const OWN: &str = r#"{"prompt": "The people of the", "options": ["United States", "harbour and", "sea"], "gold": 0}
{"prompt": "In the beginning God created the", "options": ["heaven", "purse"], "gold": 0}
{"prompt": "We hold these", "options": ["purple", "truths"], "gold": 1}
{"prompt": "Call me", "options": ["Ishmael", "late in the evening"]}
"#;

/// A folder with the three data sets of the figure.
fn with_data(sandbox: &Sandbox) {
    let words = ["sea", "ship and crew", "night", "old captain", "whale"];
    let pairs = || (0..7).map(|at| (at, [words[at % 5], words[(at + 2) % 5]]));
    let choice = |(at, [one, other]): (usize, [&str; 2])| {
        let gold = at % 2;
        format!(
            r#"{{"query": "At last the {one} of the", "choices": ["{one}", "{other}"], "gold": {gold}}}"#
        )
    };
    let last = |(_, [one, other]): (usize, [&str; 2])| {
        format!(r#"{{"context": "Then the {one} came to the", "continuation": "{other}"}}"#)
    };
    fs::create_dir(sandbox.path("data")).unwrap();
    let choices: Vec<String> = pairs().map(choice).collect();
    let lasts: Vec<String> = pairs().map(last).collect();
    for name in ["arc_easy", "hellaswag"] {
        sandbox.write(&format!("data/{name}.jsonl"), choices.join("\n").as_bytes());
    }
    sandbox.write("data/lambada_openai.jsonl", lasts.join("\n").as_bytes());
}

/// Log-likelihoods, choices and what follows from them, from whole rows of logits.
#[test]
fn an_items_answers_are_those_of_the_logits() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    sandbox.write("own.jsonl", OWN.as_bytes());
    let on = ["--model", name, "--tasks", "own.jsonl"];
    let out = ["--out", "out.csv", "--per-item", "items.csv"];
    let edits = ["sweep", "drop(l)", "zero(attn.head_out[1,0])"];
    let outcome = sandbox.xtask(&[&edits[..], &on, &out].concat()).succeeded();
    assert_eq!(outcome.stdout, "out.csv\nitems.csv\n");

    let model = Model::open(sandbox.path(name)).unwrap();
    let tokenizer = sandbox.path(name).join("tokenizer.json");
    let tokenizer = Tokenizer::open(&tokenizer, model.config().vocab).unwrap();
    let task = read_own(&sandbox.path("own.jsonl"), usize::MAX).unwrap();
    let encoder = Encoder::new(&tokenizer, None, model.config().context);
    let plain = Schedule::plain(model.stack()).unwrap();
    let found = Table::new(&sandbox.read("items.csv"));
    let edits = ["id", "drop(0)", "drop(1)", "zero(attn.head_out[1,0])"];
    assert_eq!(found.rows.len(), task.items.len() * edits.len());
    let mut right = [[0.0; 2]; 4];
    for (row, _) in found.rows.iter().enumerate() {
        let (item, edit) = (row / edits.len(), edits[row % edits.len()]);
        assert_eq!(found.text(row, "schedule"), edit);
        assert_eq!(found.text(row, "task"), "own");
        assert_eq!(found.number(row, "item"), item as f64);
        let schedule = match edit {
            "id" => plain.clone(),
            edit => edit.parse::<Edit>().unwrap().apply(&plain).unwrap(),
        };
        let expected = encoder.question(&task, item).unwrap().continuations;
        let expected: Vec<f64> = expected
            .iter()
            .map(|own| {
                let logits = model.logits(&own.tokens, &schedule).unwrap();
                let first = own.tokens.len() - own.targets.len();
                let each = own.targets.iter().enumerate().map(|(at, target)| {
                    let row = logits.row(first + at).mapv(|z| f64::from(z).exp());
                    (row[*target as usize] / row.sum()).ln()
                });
                each.sum()
            })
            .collect();
        let likelihoods: Vec<f64> = found
            .text(row, "log_likelihoods_nats")
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        assert_eq!(likelihoods.len(), expected.len());
        for (found, expected) in likelihoods.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        let largest = |values: &[f64]| {
            let order = (0..values.len()).rev();
            order
                .max_by(|a, b| values[*a].total_cmp(&values[*b]))
                .unwrap()
        };
        let by_length: Vec<f64> = likelihoods
            .iter()
            .zip(&task.items[item].options)
            .map(|(own, option)| own / (option.scored.chars().count() - 1) as f64)
            .collect();
        assert_eq!(found.number(row, "choice"), largest(&likelihoods) as f64);
        let chosen = [largest(&likelihoods), largest(&by_length)];
        for (column, (chosen, right)) in ["acc", "acc_norm"]
            .into_iter()
            .zip(chosen.into_iter().zip(&mut right[row % edits.len()]))
        {
            match task.items[item].answer {
                Some(gold) => {
                    let is_right = f64::from(u8::from(chosen == gold));
                    assert_eq!(found.number(row, "gold"), gold as f64);
                    assert_eq!(found.number(row, column), is_right);
                    *right += is_right;
                }
                None => assert_eq!(found.text(row, column), ""),
            }
        }
    }
    let table = Table::new(&sandbox.read("out.csv"));
    assert_eq!(table.rows.len(), edits.len());
    for (row, right) in right.iter().enumerate() {
        assert_eq!(table.text(row, "schedule"), edits[row]);
        assert_eq!(table.number(row, "items"), 4.0);
        for (column, (own, plain)) in ["acc", "acc_norm"]
            .into_iter()
            .zip(right.iter().copied().zip(self::first(&table)))
        {
            assert_eq!(table.number(row, column), own / 3.0);
            let change = table.number(row, &format!("{column}_change"));
            assert!((change - (own / 3.0 - plain)).abs() < 1e-12);
        }
    }
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["tasks"][0]["file"], "own.jsonl");
}

/// The plain model's accuracies.
fn first(table: &Table) -> [f64; 2] {
    ["acc", "acc_norm"].map(|column| table.number(0, column))
}

#[test]
fn the_scores_of_data_sets_are_those_of_the_figure() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    with_data(&sandbox);
    let figure = ["reproduce", "benchmarks", "--benchmarks", "data"];
    let on = ["--items", "6", "--model", name];
    let arguments = [&figure[..], &on, &["--out", "figure"]].concat();
    sandbox.xtask(&arguments).succeeded();
    let sweep = ["sweep", "drop(l)", "swap(l,l+1)", "--tasks", "data"];
    let arguments = [&sweep[..], &on, &["--out", "out.csv"]].concat();
    sandbox.xtask(&arguments).succeeded();
    let expected = Table::new(&sandbox.read(&format!("figure/{name}/benchmarks.csv")));
    let found = Table::new(&sandbox.read("out.csv"));
    assert_eq!(found.rows.len(), 3 * 4);
    let mut compared = 0;
    for row in 0..expected.rows.len() {
        let edit = match (
            expected.text(row, "intervention"),
            expected.text(row, "layer"),
        ) {
            ("none", _) => "id".to_owned(),
            ("drop", layer) => format!("drop({layer})"),
            ("swap", _) => "swap(0,1)".to_owned(),
            other => panic!("{other:?}"),
        };
        let is_it = |own: &usize| {
            found.text(*own, "task") == expected.text(row, "task")
                && found.text(*own, "schedule") == edit
        };
        let own = (0..found.rows.len()).find(is_it).unwrap();
        for (column, of_figure) in [
            ("acc", "accuracy"),
            ("acc_se", "accuracy_se"),
            ("acc_change", "difference"),
            ("acc_change_se", "difference_se"),
            ("items", "items"),
        ] {
            assert_eq!(
                found.number(own, column),
                expected.number(row, of_figure),
                "{edit}: {column}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 5 * found.rows.len());
    // Of LAMBADA's one continuation there is nothing to choose by length.
    let row = (0..12).find(|row| found.text(*row, "task") == "lambada_openai");
    assert_eq!(found.text(row.unwrap(), "acc_norm"), "");
}

#[test]
fn shards_and_stopped_runs_make_the_same_tables() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    with_data(&sandbox);
    let run = |out: &str, more: &[&str]| {
        let fixed = ["sweep", "drop(l)", "mean(mlp.out[l])", "--tasks", "data"];
        let on = ["--model", name, "--out", out];
        sandbox.xtask(&[&fixed, &on[..], more].concat()).succeeded()
    };
    run("whole.csv", &["--per-item", "whole-items.csv"]);
    let [table, items] = ["whole.csv", "whole-items.csv"].map(|file| sandbox.read(file));

    run("a.csv", &["--shard", "1/2", "--threads", "1"]);
    run("b.csv", &["--shard", "2/2", "--threads", "3"]);
    let merge = ["merge", "a.csv.run", "b.csv.run", "--out", "all.csv"];
    let arguments = [&merge[..], &["--per-item", "all-items.csv"]].concat();
    sandbox.xtask(&arguments).succeeded();
    assert!(sandbox.read("all.csv") == table);
    assert!(sandbox.read("all-items.csv") == items);

    // Half of the journal is what a stopped run leaves.
    let journal = format!("whole.csv.run/{name}.journal");
    let bytes = sandbox.read(&journal);
    sandbox.write(&journal, &bytes[..bytes.len() / 2]);
    let said = run("whole.csv", &["--per-item", "whole-items.csv"]).stderr;
    assert!(said.contains("were finished by an earlier run"), "{said}");
    assert!(sandbox.read("whole.csv") == table);
    assert!(sandbox.read("whole-items.csv") == items);

    // Another right option is another run.
    let path = "data/arc_easy.jsonl";
    let text = String::from_utf8(sandbox.read(path)).unwrap();
    sandbox.write(
        path,
        text.replacen("\"gold\": 0", "\"gold\": 1", 1).as_bytes(),
    );
    let again = ["sweep", "drop(l)", "mean(mlp.out[l])", "--tasks", "data"];
    let on = ["--model", name, "--out", "whole.csv"];
    sandbox
        .xtask(&[&again[..], &on].concat())
        .refused(&["narrow.journal", "--fresh"]);
}

#[test]
fn the_terminal_shows_a_table_for_each_task() {
    let sandbox = Sandbox::new();
    sandbox.write("own.jsonl", OWN.as_bytes());
    let arguments = ["sweep", "drop(1)", "--tasks", "own.jsonl", "--model"];
    let outcome = sandbox
        .xtask(&[&arguments[..], &["gpt2-8x160", "--items", "3"]].concat())
        .succeeded();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", outcome.stdout);
    assert!(lines[0].starts_with("gpt2-8x160: own, 3 items; "));
    assert!(lines[1].starts_with("edit") && lines[1].ends_with("same choice"));
    assert!(lines[2].starts_with("id ") && lines[3].starts_with("drop(1) "));
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    sandbox.write("own.jsonl", OWN.as_bytes());
    sandbox.write("bad.jsonl", b"{\"prompt\": \"a\"}\n");
    sandbox.write("text.txt", b"A text of a few words, and more of them.");
    fs::create_dir(sandbox.path("empty")).unwrap();
    let before = sandbox.contents();
    let check = |arguments: &[&str], mentioned: &[&str]| {
        let fixed = ["sweep", "--model", name];
        sandbox
            .xtask(&[&fixed, arguments].concat())
            .refused(mentioned);
        assert_eq!(sandbox.contents(), before, "{arguments:?} left something");
    };
    let own = ["--tasks", "own.jsonl"];
    check(
        &[&["drop(0)", "--sort", "kl_nats"], &own[..]].concat(),
        &["--sort", "--tasks"],
    );
    for (option, value) in [
        ("--rows", "5"),
        ("--tokens", "500"),
        ("--context", "64"),
        ("--corpus", "text.txt"),
    ] {
        let told = format!("{option}: chooses the text of mean, and no edit takes means");
        check(&[&["drop(0)", option, value], &own[..]].concat(), &[&told]);
    }
    for (option, value) in [
        ("--rows", "5"),
        ("--tokens", "500"),
        ("--corpus", "text.txt"),
    ] {
        let both = ["mean(mlp.out[1])", "--reference", "text.txt", option, value];
        let told = format!("{option}: chooses the text of mean, and --reference names another");
        check(&[&both[..], &own[..]].concat(), &[&told]);
    }
    check(
        &["drop(0)", "--out", "o.csv", "--per-item", "i.csv"],
        &["--tasks"],
    );
    check(
        &[&["resample(mlp.out[1])"], &own[..]].concat(),
        &["resample", "use mean or zero"],
    );
    for edit in ["zero(mlp.out[0]@-1)", "cut(1,0,-1,0)"] {
        check(&[&[edit], &own[..]].concat(), &[edit, "from the start"]);
    }
    check(
        &["drop(0)", "--tasks", "empty"],
        &["empty: expected data sets of tasks", "arc_easy"],
    );
    check(
        &["drop(0)", "--tasks", "bad.jsonl"],
        &["bad.jsonl: line 1", "options"],
    );
    check(&["drop(0)", "--tasks", "none.jsonl"], &["none.jsonl"]);
    check(
        &[&["donor(mlp.out[1])"], &own[..]].concat(),
        &["donor(mlp.out[1])"],
    );
}

/// A prompt that does not fit loses its beginning, as in lm-evaluation-harness, and the user is told.
#[test]
fn prompts_that_are_cut_are_counted() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    let check = |words: usize, expected: &str| {
        let prompt = "the sea and ".repeat(words);
        let long = format!(r#"{{"prompt": "{prompt}the", "options": ["sea", "ship and crew"]}}"#);
        sandbox.write("own.jsonl", format!("{OWN}{long}\n").as_bytes());
        let on = ["sweep", "drop(0)", "--model", name, "--tasks", "own.jsonl"];
        let said = sandbox.xtask(&[&on[..], &["--dry-run"]].concat());
        let said = said.succeeded().stderr;
        match expected {
            "" => assert!(!said.contains("items are longer"), "{said}"),
            expected => assert!(said.contains(expected), "{said}"),
        }
    };
    check(1, "");
    check(
        400,
        "note: narrow: 1 of 5 items are longer than its context of 256 tokens; the beginnings of their prompts are left out",
    );
}

/// The manifest has the files that were read, wherever they lie in the folder, and no others.
#[test]
fn the_manifest_names_the_files_of_a_data_set() {
    let sandbox = Sandbox::new();
    let name = narrow(&sandbox);
    with_data(&sandbox);
    fs::create_dir(sandbox.path("data/zero-shot")).unwrap();
    let inside = "data/zero-shot/lambada_openai.jsonl";
    fs::rename(
        sandbox.path("data/lambada_openai.jsonl"),
        sandbox.path(inside),
    )
    .unwrap();
    sandbox.write("data/unrelated.jsonl", b"{}");
    let arguments = ["reproduce", "benchmarks", "--benchmarks", "data"];
    let on = ["--items", "2", "--model", name, "--out", "out"];
    sandbox.xtask(&[&arguments[..], &on].concat()).succeeded();
    let manifest = sandbox.json("out/manifest.json");
    let files = manifest["labelled"].as_array().unwrap().iter();
    let files: Vec<&str> = files.map(|own| own["file"].as_str().unwrap()).collect();
    let expected = ["data/arc_easy.jsonl", "data/hellaswag.jsonl", inside];
    assert_eq!(files, expected);
}
