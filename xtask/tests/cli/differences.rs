//! `sweep --baseline` and `merge --baseline`: differences from one schedule, from what a journal holds.

use crate::{Outcome, Sandbox, Table, tiny, token_ids};
use serde_json::Value;

const BASELINE: &str = "swap(0,1)";
const SUMS: [(&str, &str, &str); 4] = [
    ("kl_nats", "kl_nats", "positions"),
    ("top1_agreement", "top1_agreements", "positions"),
    ("entropy_bits", "entropy_bits", "positions"),
    ("loss_nats", "loss_nats", "loss_positions"),
];

fn sweep(sandbox: &Sandbox, options: &[&str]) -> Outcome {
    let model = tiny("gpt2");
    let on = ["sweep", "drop(l)", "swap(l,l+1)", "--model", &model];
    sandbox.xtask(&[&on[..], &["--corpus", "ids.npy"], options].concat())
}

/// The mean of the sequences' differences and its error, from the sums of two schedules on each sequence.
fn paired(sequences: &[[&Value; 2]], sum: &str, count: &str) -> [f64; 2] {
    let number = |sums: &Value, name: &str| sums[name].as_f64().unwrap();
    let each = sequences.iter();
    let pairs =
        each.map(|[own, other]| (number(own, sum) - number(other, sum), number(own, count)));
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let counts: f64 = pairs.iter().map(|pair| pair.1).sum();
    let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / counts;
    let squares: f64 = pairs.iter().map(|(x, n)| (x - mean * n).powi(2)).sum();
    let groups = pairs.len() as f64;
    [mean, (groups / (groups - 1.0) * squares).sqrt() / counts]
}

#[test]
fn a_journal_alone_gives_the_differences() {
    let sandbox = Sandbox::with_ids(&token_ids(6, 12, 29));
    sweep(&sandbox, &["--out", "out.csv"]).succeeded();
    let (plain, journal) = (
        sandbox.read("out.csv"),
        sandbox.read("out.csv.run/gpt2.journal"),
    );
    let again = ["--out", "out.csv", "--baseline", BASELINE];
    let said = sweep(&sandbox, &again).succeeded().stderr;
    assert!(
        said.contains("6 sequences of the sweep were finished by an earlier run"),
        "{said}"
    );
    assert!(sandbox.read("out.csv.run/gpt2.journal") == journal);
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["baseline"], BASELINE);

    // The first columns are those without a baseline.
    let with = sandbox.read("out.csv");
    let [plain, whole] = [&plain, &with].map(|table| String::from_utf8(table.clone()).unwrap());
    for (line, whole) in plain.lines().zip(whole.lines()) {
        assert!(whole.starts_with(line), "{line}");
    }
    let table = Table::new(&with);
    let lines = journal.split(|byte| *byte == b'\n').skip(1);
    let units: Vec<Value> = lines
        .filter_map(|line| serde_json::from_slice(line.get(17..)?).ok())
        .collect();
    assert_eq!(units.len(), 6);
    let mut units: Vec<&Value> = units.iter().collect();
    units.sort_by_key(|unit| unit["unit"].as_u64());
    let rows = 0..table.rows.len();
    let baseline = rows
        .clone()
        .find(|row| table.text(*row, "schedule") == BASELINE)
        .unwrap();
    for row in rows {
        assert_eq!(table.text(row, "baseline"), BASELINE);
        let sums: Vec<[&Value; 2]> = units
            .iter()
            .map(|unit| [row, baseline].map(|at| &unit["result"][at]))
            .collect();
        for (statistic, sum, count) in SUMS {
            let expected = paired(&sums, sum, count);
            for (end, expected) in ["_difference", "_difference_se"].iter().zip(expected) {
                let found = table.number(row, &format!("{statistic}{end}"));
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{row} {statistic}{end}: {found}"
                );
            }
        }
    }

    // So do the journals of shards.
    for shard in ["1/2", "2/2"] {
        let out = format!("{}.csv", &shard[..1]);
        sweep(&sandbox, &["--out", &out, "--shard", shard]).succeeded();
    }
    let runs = [
        "merge",
        "1.csv.run",
        "2.csv.run",
        "--out",
        "all.csv",
        "--baseline",
        BASELINE,
    ];
    sandbox.xtask(&runs).succeeded();
    assert!(sandbox.read("all.csv") == with);
    assert_eq!(
        sandbox.json("all.csv.run/manifest.json")["baseline"],
        BASELINE
    );
}

#[test]
fn the_differences_are_printed_below_the_means() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 12, 29));
    let said = sweep(&sandbox, &["--baseline", "id", "--sort", "loss_nats"])
        .succeeded()
        .stdout;
    let blocks: Vec<&str> = said.split("\n\n").collect();
    let title = "gpt2: differences from id; means ± standard errors clustered by sequence\n";
    assert!(blocks.len() == 2 && blocks[1].starts_with(title), "{said}");
    let edits = |block: &str| -> Vec<String> {
        let lines = block.lines().skip(2);
        lines
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(edits(blocks[0]), edits(blocks[1]));
    let own = blocks[1]
        .lines()
        .find(|line| line.starts_with("id "))
        .unwrap();
    assert_eq!(own.matches("0 ± 0").count(), 4, "{own}");
}

/// Indices of a baseline count as those of edits do, in each model by itself.
#[test]
fn an_index_from_the_end_is_a_baseline() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let shallow = tiny("llama");
    let check = |more: &[&str], baseline: &str, expected: &[&str]| {
        let options = ["--fresh", "--out", "out.csv", "--baseline", baseline];
        sweep(&sandbox, &[&options, more].concat()).succeeded();
        let table = Table::new(&sandbox.read("out.csv"));
        let rows = 0..table.rows.len();
        let mut found: Vec<&str> = rows.map(|row| table.text(row, "baseline")).collect();
        found.dedup();
        assert_eq!(found, expected, "{baseline}");
    };
    check(&[], "drop(-1)", &["drop(2)"]);
    check(&[], "swap(-2,-1)", &["swap(1,2)"]);
    check(&["--model", &shallow], "drop(-1)", &["drop(2)", "drop(1)"]);
}

#[test]
fn what_is_no_baseline_is_refused() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    sweep(&sandbox, &["--out", "out.csv"]).succeeded();
    let before = sandbox.contents();
    for (options, mentioned) in [
        (
            ["--baseline", "drop(77)"].as_slice(),
            ["baseline `drop(77)`", "no such schedule"],
        ),
        (&["--baseline", "drop(l)"], ["--baseline", "drop(l)"]),
        (
            &["--baseline", "id", "--out", "x.csv", "--shard", "1/2"],
            ["--baseline", "cannot be used with"],
        ),
    ] {
        sweep(&sandbox, options).refused(&mentioned);
        assert_eq!(sandbox.contents(), before);
    }
    for baseline in ["drop(77)", "drop(-1)"] {
        let merge = ["merge", "out.csv.run", "--out", "all.csv"];
        sandbox
            .xtask(&[&merge[..], &["--baseline", baseline]].concat())
            .refused(&[
                &format!("gpt2: baseline `{baseline}`"),
                "no such schedule",
                "such as `drop(0)`, `drop(1)`, `drop(2)`, whose indices count from 0",
            ]);
        assert_eq!(sandbox.contents(), before);
    }
}
