//! 89: journals with right checksums that claim what cannot be.

use crate::sandbox::Sandbox;
use crate::{Case, check};
use sha2::{Digest, Sha256};
use std::fs::{self, File};

/// The first line of the journal of a run of more units than memory holds.
fn of_many(shard: &str) -> String {
    described("divergence", 1 << 60, shard)
}

/// The first line of the journal of a run without schedules.
fn described(measure: &str, units: u64, shard: &str) -> String {
    format!(
        r#"{{"format":3,"key":"00","name":"m","place":0,"units":{units},"shard":"{shard}","about":{{"measure":"{measure}","schedules":[]}}}}"#
    )
}

/// Lines of JSON, each after its checksum.
fn with_checksums(lines: &[&str]) -> Vec<u8> {
    let line = |json: &&str| {
        let sum = Sha256::digest(json.as_bytes());
        let sum: String = sum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{sum} {json}\n")
    };
    let lines: String = lines.iter().map(line).collect();
    lines.into_bytes()
}

fn merged(what: &'static str, make: impl Fn(&Sandbox) + 'static, says: &[&str]) -> Case {
    Case::refused((89, what), make, &[&["e.journal"], says].concat()).exactly(&[
        "merge",
        "e.journal",
        "--out",
        "merged.csv",
    ])
}

/// Case 89, of what journals claim.
pub(crate) fn claims() -> Vec<Case> {
    vec![
        merged(
            "a journal of pairs without a schedule",
            |s| {
                let first = described("patching", 1, "1/1");
                let lines = with_checksums(&[&first, r#"{"unit":0,"result":[]}"#]);
                s.write("e.journal", &lines);
            },
            &["line 2 is damaged"],
        ),
        merged(
            "a journal that claims 2^60 units",
            |s| s.write("e.journal", &with_checksums(&[&of_many("1/1")])),
            &["missing units 0-1152921504606846975"],
        ),
        merged(
            "a journal of 8 GiB without a line",
            |s| {
                let journal = File::create(s.path("e.journal")).unwrap();
                journal.set_len(8 << 30).unwrap();
            },
            &["line 1 is damaged"],
        ),
    ]
}

#[test]
fn journals_that_claim_what_cannot_be() {
    check(claims());
}

/// Its units are counted without a list of them.
#[test]
fn a_task_that_claims_many_units_has_a_status() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("out.csv.array/part-1.csv.run")).unwrap();
    let record = r#"{"layerwise":"0.1.0","tasks":3,"name":"layerwise-0","is_slurm":false,"command":["sweep"]}"#;
    sandbox.write("out.csv.array/array.json", record.as_bytes());
    let journal = with_checksums(&[&of_many("1/3")]);
    sandbox.write("out.csv.array/part-1.csv.run/model.journal", &journal);
    let outcome = sandbox.run(&["submit", "status", "out.csv"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
