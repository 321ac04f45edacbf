//! `sweep --per-token`, `--classes` and `--both-ways`: the results of a schedule at each token, compared with whole logits.

use crate::{Sandbox, Table, tiny, token_ids};
use layerwise::corpus::Tokenizer;
use layerwise::metrics::divergence::{argmax, entropy_bits, kl_nats, loss_nats};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::Model;
use ndarray::ArrayView1;
use safetensors::SafeTensors;

const MODEL: &str = "llama-gqa-tied";
const EDITS: [&str; 3] = ["id", "drop(1)", "swap(0,1)"];
const ROWS: usize = 3;
const LENGTH: usize = 7;

fn sweep(sandbox: &Sandbox, more: &[&str]) -> crate::Outcome {
    let model = tiny(MODEL);
    let fixed = ["sweep", "drop(1)", "swap(0,1)", "--model", &model];
    let out = ["--corpus", "ids.npy", "--out", "out.csv"];
    let file = ["--per-token", "tokens.safetensors"];
    sandbox.xtask(&[&fixed[..], &out, &file, more].concat())
}

/// A tensor of four-byte numbers.
fn words(file: &SafeTensors<'_>, name: &str) -> Vec<[u8; 4]> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.shape(), [EDITS.len(), ROWS * LENGTH], "{name}");
    tensor.data().as_chunks::<4>().0.to_vec()
}

/// Half of KL(p ‖ m) + KL(q ‖ m), from whole rows.
fn js_nats(p: ArrayView1<'_, f32>, q: ArrayView1<'_, f32>) -> f64 {
    let probabilities = |row: ArrayView1<'_, f32>| -> Vec<f64> {
        let sum: f64 = row.iter().map(|z| f64::from(*z).exp()).sum();
        row.iter().map(|z| f64::from(*z).exp() / sum).collect()
    };
    let (p, q) = (probabilities(p), probabilities(q));
    let half = |own: &[f64]| -> f64 {
        let terms = own.iter().zip(p.iter().zip(&q));
        terms
            .map(|(own, (p, q))| own * (2.0 * own / (p + q)).ln())
            .sum()
    };
    0.5 * half(&p) + 0.5 * half(&q)
}

#[test]
fn the_file_holds_what_whole_logits_give() {
    let rows = token_ids(ROWS, LENGTH, 37);
    let sandbox = Sandbox::with_ids(&rows);
    sweep(&sandbox, &[]).succeeded();
    let bytes = sandbox.read("tokens.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about = header.metadata().as_ref().unwrap();
    assert_eq!(about["schedules"], serde_json::to_string(&EDITS).unwrap());
    let numbers = |name: &str| -> Vec<f32> {
        words(&file, name)
            .into_iter()
            .map(f32::from_le_bytes)
            .collect()
    };
    let whole = |name: &str| -> Vec<i32> {
        words(&file, name)
            .into_iter()
            .map(i32::from_le_bytes)
            .collect()
    };
    let table = Table::new(&sandbox.read("out.csv"));
    let (ranks, top1) = (whole("rank"), whole("top1"));
    let names = [
        "kl_nats",
        "reverse_kl_nats",
        "js_nats",
        "entropy_bits",
        "loss_nats",
    ];
    let found: Vec<Vec<f32>> = names.map(numbers).to_vec();
    let model = Model::open(tiny(MODEL)).unwrap();
    let plain = Schedule::plain(model.stack()).unwrap();
    for (schedule, edit) in EDITS.iter().enumerate() {
        let altered = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
        let mut sums = [0.0; 5];
        let mut reciprocal_rank = 0.0;
        for (sequence, row) in rows.iter().enumerate() {
            let tokens: Vec<u32> = row.iter().map(|id| u32::from(*id)).collect();
            let [p, q] =
                [&plain, &altered].map(|schedule| model.logits(&tokens, schedule).unwrap());
            let at = |position| (schedule * ROWS + sequence) * LENGTH + position;
            assert!(found.iter().all(|own| own[at(0)].is_nan()));
            assert_eq!((ranks[at(0)], top1[at(0)]), (-1, -1));
            for position in 1..LENGTH {
                let (p, q) = (p.row(position), q.row(position));
                let next = tokens.get(position + 1).map(|token| *token as usize);
                let loss = next.map(|next| loss_nats(q, next).unwrap());
                let expected = [
                    kl_nats(p, q).unwrap(),
                    kl_nats(q, p).unwrap(),
                    js_nats(p, q),
                    entropy_bits(q).unwrap(),
                    loss.unwrap_or(f64::NAN),
                ];
                for ((name, found), (expected, sum)) in
                    names.iter().zip(&found).zip(expected.iter().zip(&mut sums))
                {
                    let own = f64::from(found[at(position)]);
                    let same = (own - expected).abs() < 1e-4 || own.is_nan() && expected.is_nan();
                    assert!(
                        same,
                        "{edit}, {name} at {position}: {own}, expected {expected}"
                    );
                    *sum += if own.is_nan() { 0.0 } else { own };
                }
                let rank = next.map_or(-1, |next| {
                    let above = q.iter().filter(|z| **z > q[next]).count();
                    i32::try_from(above + 1).unwrap()
                });
                assert_eq!(ranks[at(position)], rank, "{edit} at {position}");
                reciprocal_rank += if rank < 0 { 0.0 } else { 1.0 / f64::from(rank) };
                assert_eq!(top1[at(position)] as usize, argmax(q).unwrap());
            }
        }
        let (positions, losses) = (ROWS * (LENGTH - 1), ROWS * (LENGTH - 2));
        for (name, sum) in names.iter().zip(sums) {
            let count = if *name == "loss_nats" {
                losses
            } else {
                positions
            };
            let mean = sum / count as f64;
            assert!(
                (table.number(schedule, name) - mean).abs() < 1e-6,
                "{edit}: {name}"
            );
        }
        let mean = reciprocal_rank / losses as f64;
        assert!((table.number(schedule, "reciprocal_rank") - mean).abs() < 1e-6);
    }
}

#[test]
fn a_finished_file_is_taken_up_and_classes_are_of_what_is_in_it() {
    let rows = token_ids(ROWS, LENGTH, 37);
    let sandbox = Sandbox::with_ids(&rows);
    sweep(&sandbox, &[]).succeeded();
    let first = sandbox.read("tokens.safetensors");
    let line = |sequence: usize| {
        let label = |position: usize| match (position + sequence) % 3 {
            0 => "null".to_owned(),
            class => format!("\"class {class}\""),
        };
        let labels: Vec<String> = (0..LENGTH).map(label).collect();
        format!("[{}]\n", labels.join(","))
    };
    let lines: String = (0..ROWS).map(line).collect();
    sandbox.write("labels.jsonl", lines.as_bytes());
    let classes = ["--classes", "classes.csv", "--labels", "labels.jsonl"];
    let again = sweep(&sandbox, &classes).succeeded();
    assert!(again.stderr.contains("3 sequences"), "{}", again.stderr);
    assert!(again.stderr.contains("earlier run"), "{}", again.stderr);
    assert_eq!(sandbox.read("tokens.safetensors"), first);

    let (all, table) = (
        Table::new(&sandbox.read("out.csv")),
        Table::new(&sandbox.read("classes.csv")),
    );
    let of = |schedule: &str, classes: &str, column: &str| -> Vec<f64> {
        (0..table.rows.len())
            .filter(|row| table.text(*row, "schedule") == schedule)
            .filter(|row| table.text(*row, "classes") == classes)
            .map(|row| table.text(row, column).parse().unwrap_or(0.0))
            .collect()
    };
    for (schedule, edit) in EDITS.iter().enumerate() {
        // Every position is in one class of each kind, except for labels, and together the means are those of all positions.
        for kind in ["position", "frequency_decile", "plain_entropy_decile"] {
            let (counts, kl) = (of(edit, kind, "positions"), of(edit, kind, "kl_nats"));
            assert_eq!(counts.iter().sum::<f64>(), (ROWS * (LENGTH - 1)) as f64);
            let sum: f64 = counts.iter().zip(&kl).map(|(count, kl)| count * kl).sum();
            let mean = sum / counts.iter().sum::<f64>();
            assert!(
                (mean - all.number(schedule, "kl_nats")).abs() < 1e-6,
                "{edit}: {kind}"
            );
        }
        let positions = of(edit, "position", "positions");
        assert_eq!(
            positions,
            [ROWS, 2 * ROWS, 3 * ROWS].map(|count| count as f64)
        );
        let counts = of(edit, "label", "positions");
        assert_eq!(counts.len(), 2);
        let change = of(edit, "label", "loss_change_nats");
        assert_eq!(
            schedule == 0,
            change.iter().all(|change| *change == 0.0),
            "{edit}"
        );
    }
    // A journal without the file refers to data that no longer exists.
    std::fs::remove_file(sandbox.path("tokens.safetensors")).unwrap();
    sweep(&sandbox, &[]).refused(&["tokens.safetensors", "--fresh"]);
    sweep(&sandbox, &["--fresh"]).succeeded();
    assert_eq!(sandbox.read("tokens.safetensors"), first);
}

#[test]
fn a_file_has_the_tokens_of_its_own_run() {
    let run = |vocab| {
        let sandbox = Sandbox::with_ids(&token_ids(ROWS, LENGTH, vocab));
        sweep(&sandbox, &[]).succeeded();
        let file = sandbox.read("tokens.safetensors");
        (sandbox, file)
    };
    let ((sandbox, own), (other, expected)) = (run(37), run(31));
    sandbox.write("ids.npy", &other.read("ids.npy"));
    sweep(&sandbox, &[]).refused(&["an earlier run", "tokens.safetensors", "--fresh"]);
    assert_eq!(sandbox.read("tokens.safetensors"), own);
    // What a run of other tokens left before it had a journal is not taken up.
    std::fs::remove_file(sandbox.path("out.csv.run/llama-gqa-tied.journal")).unwrap();
    sandbox.write("out.csv.run/per-token.partial", &own);
    sweep(&sandbox, &[]).succeeded();
    assert_eq!(sandbox.read("tokens.safetensors"), expected);
}

#[test]
fn bits_per_byte_count_the_bytes_of_what_is_predicted() {
    let sandbox = Sandbox::new();
    let fixed = ["sweep", "drop(1)", "--model", "gpt2-8x160", "--rows", "2"];
    let more = ["--context", "24", "--out", "out.csv"];
    let classes = ["--per-token", "t.safetensors", "--classes", "classes.csv"];
    sandbox
        .xtask(&[&fixed[..], &more, &classes].concat())
        .succeeded();
    let bytes = sandbox.read("t.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let integers = |name: &str| -> Vec<usize> {
        let data = file.tensor(name).unwrap().data().to_vec();
        let words = data.as_chunks::<8>().0.iter();
        words
            .map(|word| i64::from_le_bytes(*word) as usize)
            .collect()
    };
    let ids: Vec<u32> = integers("tokens").iter().map(|id| *id as u32).collect();
    let folder = crate::fixtures().join("models/gpt2-8x160/tokenizer.json");
    let tokenizer = Tokenizer::open(&folder, 1 << 16).unwrap();
    let length = |ids: &[u32]| tokenizer.decode(ids).unwrap().len();
    let of = |own: &[usize]| length(&ids[own[0]..own[1]]) - length(&ids[own[0]..own[0] + 2]);
    let predicted: usize = integers("sequence_offsets").windows(2).map(of).sum();
    let table = Table::new(&sandbox.read("out.csv"));
    for row in 0..2 {
        let nats = table.number(row, "loss_nats") * table.number(row, "loss_positions");
        let expected = nats / std::f64::consts::LN_2 / predicted as f64;
        let found = table.number(row, "bits_per_byte");
        assert!(
            (found - expected).abs() < 1e-9,
            "{found}, expected {expected}"
        );
    }
    let table = Table::new(&sandbox.read("classes.csv"));
    let kinds = (0..table.rows.len()).map(|row| table.text(row, "classes"));
    let kinds: std::collections::BTreeSet<&str> = kinds.collect();
    assert!(
        kinds.contains("piece") && kinds.contains("next_piece"),
        "{kinds:?}"
    );
}
