//! The same question has the same answer, byte for byte, however it is asked.

use crate::{Sandbox, tiny, token_ids};

/// Runs of one question; all answers must equal the first.
struct Asked {
    sandbox: Sandbox,
    model: String,
    expected: Vec<u8>,
}

impl Asked {
    fn new(case: &str) -> Self {
        let sandbox = Sandbox::with_ids(&token_ids(7, 16, 29));
        let model = tiny(case);
        let mut asked = Self {
            sandbox,
            model,
            expected: Vec::new(),
        };
        asked.check(&["--threads", "1"]);
        asked
    }

    fn check(&mut self, options: &[&str]) -> String {
        let question = ["--model", &self.model, "drop(l)", "swap(l,l+1)"];
        let outcome = self
            .sandbox
            .sweep(&[&question, options].concat())
            .succeeded();
        let found = self.sandbox.read("out.csv");
        if self.expected.is_empty() {
            self.expected = found;
        } else {
            assert!(found == self.expected, "{options:?} changes the table");
        }
        outcome.stderr
    }
}

#[test]
fn threads_and_mapping_change_no_byte() {
    for case in ["gpt2", "phi", "llama-bias-sharded"] {
        let mut asked = Asked::new(case);
        asked.check(&["--fresh", "--threads", "4"]);
        asked.check(&["--fresh", "--threads", "1", "--no-mmap"]);
        asked.check(&["--fresh", "--threads", "4", "--no-mmap"]);
        asked.check(&["--fresh"]);
    }
}

#[test]
fn a_finished_run_is_repeated_from_its_journal() {
    let mut asked = Asked::new("gpt2");
    let journal = asked.sandbox.read("out.csv.run/gpt2.journal");
    for options in [["--threads", "4"].as_slice(), &["--no-mmap"]] {
        let said = asked.check(options);
        let expected = "gpt2: 7 sequences of the sweep were finished by an earlier run";
        assert!(said.contains(expected), "{said}");
        assert!(asked.sandbox.read("out.csv.run/gpt2.journal") == journal);
    }
    let run = &asked.sandbox.json("out.csv.run/manifest.json")["runs"][0];
    assert_eq!(run["execution"]["sequences_of_earlier_runs"], 7);
    let said = asked.check(&["--fresh"]);
    assert!(!said.contains("earlier run"), "{said}");
}

#[test]
fn edits_in_one_run_have_the_rows_of_runs_of_their_own() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt_neox-sequential");
    let edits = ["drop(l)", "repeat(l..L,2)", "parallel(0..2)"];
    let lines = |edits: &[&str]| -> Vec<String> {
        let options = ["--fresh", "--model", &model];
        sandbox.sweep(&[&options, edits].concat()).succeeded();
        let table = String::from_utf8(sandbox.read("out.csv")).unwrap();
        table.lines().map(str::to_owned).collect()
    };
    let together = lines(&edits);
    let mut apart: Vec<String> = together[..2].to_vec();
    for edit in edits {
        let alone = lines(&[edit]);
        assert_eq!(alone[..2], together[..2], "header and plain model");
        apart.extend_from_slice(&alone[2..]);
    }
    assert_eq!(together, apart);
}
