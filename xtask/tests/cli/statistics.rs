//! `sweep`: the table, its values compared with whole logits, and the manifest.

use crate::{HEADER, Sandbox, Table, fixtures, tiny, token_ids};
use layerwise::metrics::divergence::{argmax, entropy_bits, kl_nats, loss_nats};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::Model;
use ndarray::ArrayView1;
use std::path::Path;

const TOLERANCE: f64 = 1e-4;

/// The columns with statistics, each followed by its standard error.
const STATISTICS: [&str; 5] = [
    "kl_nats",
    "top1_agreement",
    "entropy_bits",
    "loss_nats",
    "top5_overlap",
];

/// The five tokens with the largest logits.
fn top5(row: ArrayView1<'_, f32>) -> Vec<usize> {
    let mut tokens: Vec<usize> = (0..row.len()).collect();
    tokens.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    tokens.truncate(5);
    tokens
}

/// Sums and counts of one sequence, in the order of [`STATISTICS`].
fn sums(model: &Model, tokens: &[u32], schedule: &Schedule) -> [(f64, f64); 5] {
    let plain = Schedule::plain(model.stack()).unwrap();
    let plain = model.logits(tokens, &plain).unwrap();
    let altered = model.logits(tokens, schedule).unwrap();
    let mut sums = [(0.0, 0.0); 5];
    let mut add = |statistic: usize, value: f64| {
        sums[statistic].0 += value;
        sums[statistic].1 += 1.0;
    };
    for position in 1..tokens.len() {
        let (p, q) = (plain.row(position), altered.row(position));
        add(0, kl_nats(p, q).unwrap());
        let agrees = argmax(p).unwrap() == argmax(q).unwrap();
        add(1, f64::from(u8::from(agrees)));
        let (plain, altered) = (top5(p), top5(q));
        let shared = plain.iter().filter(|token| altered.contains(token));
        add(4, shared.count() as f64 / 5.0);
        add(2, entropy_bits(q).unwrap());
        if let Some(next) = tokens.get(position + 1) {
            add(3, loss_nats(q, *next as usize).unwrap());
        }
    }
    sums
}

/// Mean and clustered standard error of sums and counts of sequences.
fn mean_and_error(sequences: &[(f64, f64)]) -> (f64, Option<f64>) {
    let count: f64 = sequences.iter().map(|(_, count)| count).sum();
    let mean = sequences.iter().map(|(sum, _)| sum).sum::<f64>() / count;
    let squares: f64 = sequences
        .iter()
        .map(|(sum, count)| (sum - mean * count).powi(2))
        .sum();
    let groups = sequences.len() as f64;
    let error = (groups / (groups - 1.0) * squares).sqrt() / count;
    (mean, (sequences.len() > 1).then_some(error))
}

/// Checks the rows of one model, from `first` on, against whole logits.
fn check(table: &Table, first: usize, edits: &[&str], folder: &Path, sequences: &[Vec<u32>]) {
    let model = Model::open(folder).unwrap();
    let plain = Schedule::plain(model.stack()).unwrap();
    for (row, edit) in (first..).zip(edits) {
        assert_eq!(table.text(row, "schedule"), *edit);
        let edit: Edit = edit.parse().unwrap();
        let schedule = edit.apply(&plain).unwrap();
        let sums: Vec<_> = sequences
            .iter()
            .map(|tokens| sums(&model, tokens, &schedule))
            .collect();
        for (index, statistic) in STATISTICS.iter().enumerate() {
            let clusters: Vec<(f64, f64)> = sums.iter().map(|sums| sums[index]).collect();
            let (mean, error) = mean_and_error(&clusters);
            let found = table.number(row, statistic);
            assert!(
                (found - mean).abs() <= TOLERANCE,
                "{}, {edit}, {statistic}: {found}, expected {mean}",
                folder.display()
            );
            let column = format!("{statistic}_se");
            match error {
                None => assert_eq!(table.text(row, &column), ""),
                Some(error) => {
                    let found = table.number(row, &column);
                    assert!(
                        (found - error).abs() <= TOLERANCE,
                        "{}, {edit}, {column}: {found}, expected {error}",
                        folder.display()
                    );
                }
            }
        }
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        for (column, expected) in [
            ("sequences", sequences.len()),
            ("positions", tokens - sequences.len()),
            ("loss_positions", tokens - 2 * sequences.len()),
        ] {
            assert_eq!(table.text(row, column), expected.to_string(), "{column}");
        }
    }
}

fn widened(rows: &[Vec<u16>]) -> Vec<Vec<u32>> {
    rows.iter()
        .map(|row| row.iter().copied().map(u32::from).collect())
        .collect()
}

#[test]
fn rows_are_the_plain_model_then_the_families_in_the_order_given() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 9, 29));
    let model = tiny("gpt2");
    let outcome = sandbox.sweep(&[
        "--model",
        &model,
        "swap(l,m)",
        "drop( -1 ); scale(0,0.5)",
        "drop(l)",
    ]);
    assert_eq!(outcome.succeeded().stdout, "out.csv\n");
    let bytes = sandbox.read("out.csv");
    assert_eq!(
        bytes.split(|byte| *byte == b'\n').next().unwrap(),
        HEADER.as_bytes()
    );
    let table = Table::new(&bytes);
    let found: Vec<Vec<&str>> = table
        .rows
        .iter()
        .map(|row| row.iter().take(7).collect())
        .collect();
    let expected = [
        ["id", "id", "", ""],
        ["swap(l,m)", "swap(0,1)", "0", "1"],
        ["swap(l,m)", "swap(0,2)", "0", "2"],
        ["swap(l,m)", "swap(1,2)", "1", "2"],
        ["drop(-1);scale(0,0.5)", "drop(2);scale(0,0.5)", "", ""],
        ["drop(l)", "drop(0)", "0", ""],
        ["drop(l)", "drop(1)", "1", ""],
        ["drop(l)", "drop(2)", "2", ""],
    ];
    let expected: Vec<Vec<&str>> = expected
        .iter()
        .map(|row| [&["gpt2"], row.as_slice(), &["2", "16"]].concat())
        .collect();
    assert_eq!(found, expected);
    let plain = ["kl_nats", "kl_nats_se", "top1_agreement_se"].map(|name| table.number(0, name));
    assert!(plain.iter().all(|value| value.abs() < 1e-6), "{plain:?}");
    assert_eq!(table.number(0, "top1_agreement"), 1.0);
}

#[test]
fn values_of_several_models_are_those_of_whole_logits() {
    let rows = token_ids(3, 16, 29);
    let sandbox = Sandbox::with_ids(&rows);
    let models = ["gpt_neox", "gpt2", "qwen2"];
    let folders = models.map(tiny);
    let edits = ["drop(1)", "swap(0,2)", "drop_mlp(2);repeat(0)"];
    let mut arguments: Vec<&str> = edits.to_vec();
    for folder in &folders {
        arguments.extend(["--model", folder]);
    }
    sandbox.sweep(&arguments).succeeded();
    let table = Table::new(&sandbox.read("out.csv"));
    let all = [&["id"], edits.as_slice()].concat();
    assert_eq!(table.rows.len(), models.len() * all.len());
    for (index, (name, folder)) in models.iter().zip(&folders).enumerate() {
        let first = index * all.len();
        for row in first..first + all.len() {
            assert_eq!(table.text(row, "model"), *name);
        }
        check(&table, first, &all, Path::new(folder), &widened(&rows));
    }
}

#[test]
fn one_sequence_has_no_standard_error() {
    let rows = token_ids(2, 12, 29);
    let sandbox = Sandbox::with_ids(&rows);
    let model = tiny("gpt2");
    sandbox
        .sweep(&["--model", &model, "--rows", "1", "drop(1)"])
        .succeeded();
    let table = Table::new(&sandbox.read("out.csv"));
    let first = widened(&rows[..1]);
    check(&table, 0, &["id", "drop(1)"], Path::new(&model), &first);
}

/// Sequences of different lengths, from text, are weighted by their positions.
#[test]
fn values_on_text_are_those_of_whole_logits() {
    let sandbox = Sandbox::new();
    let lines = [
        "It was a bright morning, and the ship lay at anchor in the bay, her sails furled.",
        "",
        "The captain said nothing.",
        "A cat sat on the wall; a dog barked at it from below, and then both of them went home.",
    ];
    let text: String = lines
        .iter()
        .map(|line| format!("{}\n", serde_json::json!({ "text": line })))
        .collect();
    sandbox.write("text.jsonl", text.as_bytes());
    let [name, folder] = embedded_model();
    let arguments = ["--corpus", "text.jsonl", "--context", "16"];
    let out = ["--out", "out.csv", "--model", &name];
    let outcome = sandbox
        .xtask(&[&["sweep", "drop(0)"], arguments.as_slice(), &out].concat())
        .succeeded();
    assert!(
        outcome.stderr.contains("1 empty sequences"),
        "{}",
        outcome.stderr
    );
    let corpus = &sandbox.json("out.csv.run/manifest.json")["runs"][0]["corpus"];
    let folder = Path::new(&folder);
    let model = Model::open(folder).unwrap();
    let vocab = model.config().vocab;
    let tokenizer =
        layerwise::corpus::Tokenizer::open(&folder.join("tokenizer.json"), vocab).unwrap();
    let bos = corpus["bos"].as_u64().map(|id| u32::try_from(id).unwrap());
    let mut sequences = Vec::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let mut tokens: Vec<u32> = bos.into_iter().collect();
        tokens.extend(tokenizer.encode(line).unwrap());
        tokens.truncate(16);
        sequences.push(tokens);
    }
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    assert!(lengths[1] < 16, "lengths {lengths:?} do not differ");
    assert_eq!(corpus["tokens"], lengths.iter().sum::<usize>());
    assert_eq!(corpus["skipped_empty"], 1);
    let table = Table::new(&sandbox.read("out.csv"));
    check(&table, 0, &["id", "drop(0)"], folder, &sequences);
}

/// Name and folder of the first embedded model.
pub(crate) fn embedded_model() -> [String; 2] {
    let models = fixtures().join("models");
    let mut names: Vec<String> = std::fs::read_dir(&models)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("config.json").is_file())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let name = names.first().expect("a model is embedded").clone();
    let folder = models.join(&name).to_str().unwrap().to_owned();
    [name, folder]
}

#[test]
fn the_manifest_says_what_the_table_was_made_from() {
    let rows = token_ids(2, 16, 29);
    let sandbox = Sandbox::with_ids(&rows);
    let folders = ["gpt2", "gpt2-untied-sharded"].map(tiny);
    let outcome = sandbox.sweep(&[
        "--model",
        &folders[0],
        "--model",
        &folders[1],
        "--context",
        "8",
        "drop(l)",
    ]);
    outcome.succeeded();
    let table = Table::new(&sandbox.read("out.csv"));
    let manifest = sandbox.json("out.csv.run/manifest.json");
    let runs = manifest["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for (run, folder) in runs.iter().zip(&folders) {
        let name = run["model"].as_str().unwrap();
        assert!(folder.ends_with(name));
        let of_model = (0..table.rows.len()).filter(|row| table.text(*row, "model") == name);
        assert_eq!(run["schedules"], of_model.count());
        let files = run["files"].as_array().unwrap();
        let named: Vec<&str> = files
            .iter()
            .map(|file| file["file"].as_str().unwrap())
            .collect();
        assert!(named.contains(&"config.json"), "{named:?}");
        assert!(
            named.iter().any(|file| file.ends_with(".safetensors")),
            "{named:?}"
        );
        for file in files {
            let path = Path::new(folder).join(file["file"].as_str().unwrap());
            assert_eq!(file["bytes"], path.metadata().unwrap().len());
            assert_eq!(file["sha256"], layerwise::corpus::sha256(&path).unwrap());
        }
        let corpus = &run["corpus"];
        let ids = layerwise::corpus::sha256(&sandbox.path("ids.npy")).unwrap();
        assert_eq!(corpus["sha256"], ids);
        assert_eq!(corpus["sequences"], 2);
        assert_eq!(corpus["tokens"], 16);
        assert_eq!(corpus["documents_cut"], 2);
        assert_eq!(corpus["tokenizer_sha256"], serde_json::Value::Null);
    }
    assert_ne!(runs[0]["key"], runs[1]["key"]);
}
