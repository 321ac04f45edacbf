//! The fuzz targets on mutated seeds, without libFuzzer: the same inputs every time.
//!
//! `LAYERWISE_TEST_MUTATIONS` sets the number for each target. A target that fails names the input.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(
    unreachable_pub,
    reason = "libFuzzer's targets are programs of their own"
)]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{TARGETS, Target};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Texts with a meaning in some format.
const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "1.5",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e-400",
    "\\u0000",
    "\\ud800",
    "\\u0061",
    "\u{feff}",
    "é",
    "\0",
    "\n",
    "../",
    "(",
    ")",
    ";",
    "..",
    "l",
    "m",
    "L",
    "[[[[[[[[[[[[[[[[",
    "h",
    "p",
    "@",
    "embed",
    "attn.pattern",
    "resid.post[",
    "zero(",
    ",strict",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// A number below `end`, or 0.
fn below(rng: &mut ChaCha8Rng, end: usize) -> usize {
    match end {
        0 => 0,
        end => (rng.next_u64() % end as u64) as usize,
    }
}

/// A range within a length, short more often than long.
fn range(rng: &mut ChaCha8Rng, length: usize) -> std::ops::Range<usize> {
    let start = below(rng, length + 1);
    let most = 1 << below(rng, 10);
    start..(start + below(rng, most) + 1).min(length)
}

fn mutate(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = below(rng, bytes.len() + 1);
    match below(rng, 9) {
        0 if at < bytes.len() => bytes[at] = rng.next_u32() as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << below(rng, 8),
        2 => bytes.insert(at, rng.next_u32() as u8),
        3 => drop(bytes.drain(range(rng, bytes.len()))),
        4 => bytes.truncate(at),
        5 => {
            let copy = bytes[range(rng, bytes.len())].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let copy = other[range(rng, other.len())].to_vec();
            bytes.splice(at..at, copy);
        }
        7 => {
            let word = WORDS[below(rng, WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        _ => {
            // Replaces a number by another.
            let is_digit = |byte: &u8| byte.is_ascii_digit();
            let Some(start) = bytes[at..].iter().position(is_digit) else {
                return;
            };
            let start = at + start;
            let length = bytes[start..]
                .iter()
                .take_while(|byte| is_digit(byte))
                .count();
            let word = WORDS[9 + below(rng, 11)];
            bytes.splice(start..start + length, word.bytes());
        }
    }
}

#[track_caller]
fn run((name, target, _): Target, bytes: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        panic!("{name}, {what}: {}", bytes.escape_ascii());
    }
}

fn mutations() -> u64 {
    std::env::var("LAYERWISE_TEST_MUTATIONS").map_or(150, |count| count.parse().unwrap())
}

fn check(name: &str) {
    let target = *TARGETS.iter().find(|(found, ..)| *found == name).unwrap();
    for entry in fs::read_dir(folder().join("regressions").join(name))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        run(
            target,
            &fs::read(&path).unwrap(),
            &path.display().to_string(),
        );
    }
    let seeds = (target.2)();
    for (at, seed) in seeds.iter().enumerate() {
        run(target, seed, &format!("seed {at}"));
    }
    for execution in 0..mutations() {
        let mut rng = ChaCha8Rng::seed_from_u64(execution);
        let mut bytes = seeds[below(&mut rng, seeds.len())].clone();
        for _ in 0..=below(&mut rng, 5) {
            let other = &seeds[below(&mut rng, seeds.len())];
            mutate(&mut rng, &mut bytes, other);
        }
        run(target, &bytes, &format!("mutation {execution}"));
    }
}

#[test]
fn safetensors() {
    check("safetensors");
}

#[test]
fn index() {
    check("index");
}

#[test]
fn config() {
    check("config");
}

#[test]
fn chat() {
    check("chat");
}

#[test]
fn tokenizer() {
    check("tokenizer");
}

#[test]
fn npy() {
    check("npy");
}

#[test]
fn parquet() {
    check("parquet");
}

#[test]
fn schedule() {
    check("schedule");
}

#[test]
fn journal() {
    check("journal");
}

#[test]
fn divided() {
    check("divided");
}

#[test]
fn tokenizer_settings() {
    check("tokenizer_settings");
}

#[test]
fn classifier() {
    check("classifier");
}

#[test]
fn nbest() {
    check("nbest");
}

/// Seeds are distinct and not empty; with `LAYERWISE_WRITE_SEEDS` they are written where cargo-fuzz looks for them.
#[test]
fn seeds() {
    for (name, _, seeds) in TARGETS {
        let mut seeds = seeds();
        assert!(seeds.iter().all(|seed| !seed.is_empty()), "{name}");
        if std::env::var_os("LAYERWISE_WRITE_SEEDS").is_some() {
            let folder = folder().join("corpus").join(name);
            fs::create_dir_all(&folder).unwrap();
            for (at, seed) in seeds.iter().enumerate() {
                fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
            }
        }
        let count = seeds.len();
        seeds.sort();
        seeds.dedup();
        assert_eq!(seeds.len(), count, "{name}");
    }
}

#[test]
fn tasks() {
    check("tasks");
}

#[test]
fn vectors() {
    check("vectors");
}

#[test]
fn labels() {
    check("labels");
}

#[test]
fn packs() {
    check("packs");
}
