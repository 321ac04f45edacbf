//! A sweep without `--out`: a printed table, and nothing on disk.

use crate::{Outcome, Sandbox, Table, tiny, token_ids};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const STATISTICS: [&str; 4] = ["kl_nats", "top1_agreement", "entropy_bits", "loss_nats"];

/// A sandbox that contains its own temporary files.
struct Printed {
    sandbox: Sandbox,
    model: String,
}

impl Printed {
    fn new(sequences: usize) -> Self {
        let sandbox = Sandbox::with_ids(&token_ids(sequences, 12, 29));
        fs::create_dir(sandbox.path("temporary")).unwrap();
        Self {
            sandbox,
            model: tiny("gpt2"),
        }
    }

    fn command(&self, options: &[&str]) -> std::process::Command {
        let on = ["sweep", "drop(l)", "swap(l,l+1)", "--corpus", "ids.npy"];
        let arguments = [&on[..], &["--model", &self.model], options].concat();
        let mut command = self.sandbox.command(&arguments);
        command.env("TMPDIR", self.sandbox.path("temporary"));
        command
    }

    /// Runs a sweep that must leave no files.
    fn run(&self, options: &[&str]) -> Outcome {
        let before = self.sandbox.contents();
        let outcome = Outcome::of(&mut self.command(options)).succeeded();
        assert_eq!(self.sandbox.contents(), before, "{options:?}");
        outcome
    }
}

/// The cells of a printed line: the edit, then pairs of a mean and an error.
fn cells(line: &str) -> Vec<&str> {
    line.split_whitespace()
        .filter(|cell| *cell != "±")
        .collect()
}

#[test]
fn the_table_is_printed_and_nothing_is_kept() {
    let printed = Printed::new(7);
    let outcome = printed.run(&[]);
    assert!(outcome.stderr.contains("nothing is kept; give --out FILE"));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let title = "gpt2: 7 sequences, 77 positions; means ± standard errors clustered by sequence";
    assert_eq!(lines[0], title);
    for head in [
        "edit",
        "KL (nats)",
        "agreement",
        "entropy (bits)",
        "loss (nats)",
    ] {
        assert!(lines[1].contains(head), "{}", lines[1]);
    }

    // The numbers are those of the CSV file, to the second digit of the error.
    let mut command = printed.command(&["--out", "out.csv"]);
    let to_file = Outcome::of(&mut command).succeeded();
    assert_eq!(to_file.stdout, "out.csv\n");
    let table = Table::new(&printed.sandbox.read("out.csv"));
    assert_eq!(lines.len(), 2 + table.rows.len());
    for (row, line) in lines[2..].iter().enumerate() {
        let cells = cells(line);
        assert_eq!(cells[0], table.text(row, "schedule"));
        for (column, pair) in STATISTICS.iter().zip(cells[1..].chunks(2)) {
            let [mean, error] = ["", "_se"].map(|end| table.number(row, &format!("{column}{end}")));
            let unit = match pair[1] {
                "0" => 0.0,
                said => 10_f64.powi(-(said.split('.').nth(1).map_or(0, str::len) as i32)),
            };
            for (said, exact) in pair.iter().zip([mean, error]) {
                let said: f64 = said.parse().unwrap();
                assert!((said - exact).abs() <= 0.5001 * unit, "{line}: {exact}");
            }
            assert!(error <= 100.0 * unit, "{line}: {error}");
        }
    }
    let widths: Vec<usize> = lines[1..].iter().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{lines:?}");
}

#[test]
fn rows_are_sorted_by_a_statistic_for_each_model() {
    let printed = Printed::new(3);
    Outcome::of(&mut printed.command(&["--out", "out.csv"])).succeeded();
    let table = Table::new(&printed.sandbox.read("out.csv"));
    let other = "top5_overlap";
    for statistic in STATISTICS.into_iter().chain([other]) {
        let mut rows: Vec<usize> = (0..table.rows.len()).collect();
        rows.sort_by(|a, b| {
            let [a, b] = [a, b].map(|row| table.number(*row, statistic));
            a.total_cmp(&b)
        });
        let expected = rows.iter().map(|row| table.text(*row, "schedule"));
        let expected: Vec<&str> = expected.collect();
        let said = printed.run(&["--sort", statistic]).stdout;
        let found: Vec<&str> = said.lines().skip(2).map(|line| cells(line)[0]).collect();
        assert_eq!(found, expected, "{statistic}");
        // What is not printed otherwise has a column if the rows are sorted by it.
        let head = said.lines().nth(1).unwrap();
        assert_eq!(head.ends_with(other), statistic == other, "{head}");
    }
    let said = printed.run(&["--model", &tiny("llama"), "--sort", "kl_nats"]);
    let blocks: Vec<&str> = said.stdout.split("\n\n").collect();
    assert_eq!(blocks.len(), 2);
    for (block, model) in blocks.iter().zip(["gpt2: 3", "llama: 3"]) {
        assert!(block.starts_with(model), "{block}");
        // The plain model differs least from itself.
        assert!(block.lines().nth(2).unwrap().starts_with("id "), "{block}");
    }
}

#[test]
fn what_needs_a_file_is_refused_without_one_and_the_other_way_round() {
    let printed = Printed::new(2);
    for (options, mentioned) in [
        (["--shard", "1/2"].as_slice(), ["--out <FILE>", "required"]),
        (
            &["--sort", "kl_nats", "--out", "out.csv"],
            ["--sort", "--out"],
        ),
        (&["--sort", "speed"], ["speed", "kl_nats"]),
        (&["--both-ways"], ["--out <FILE>", "required"]),
    ] {
        let before = printed.sandbox.contents();
        Outcome::of(&mut printed.command(options)).refused(&mentioned);
        assert_eq!(printed.sandbox.contents(), before);
    }
}

/// Ctrl-C ends the run, says that nothing is kept, and leaves nothing.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_and_says_so() {
    let printed = Printed::new(20_000);
    let before = printed.sandbox.contents();
    let mut command = printed.command(&[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // The handler for Ctrl-C is installed before the plan is printed.
    while !said.contains("besides the weights") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    while stderr.read_line(&mut said).unwrap() > 0 {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("of 20000 sequences of the sweep are finished, and none is kept"));
    assert!(said.contains("what takes longer than 5 seconds is given up; Ctrl-C again"));
    assert!(!said.contains("resumes there"), "{said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    assert_eq!(printed.sandbox.contents(), before);
}
