//! Every example runs on the models of the repository.
#![cfg(feature = "text")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "the `main` of an example is not called")]

#[path = "../examples/compare_models.rs"]
mod compare_models;
#[path = "../examples/continuations.rs"]
mod continuations;
#[path = "../examples/intervene.rs"]
mod intervene;
#[path = "../examples/lens.rs"]
mod lens;
#[path = "../examples/next_token.rs"]
mod next_token;
#[path = "../examples/own_metric.rs"]
mod own_metric;
#[path = "../examples/own_model.rs"]
mod own_model;
#[path = "../examples/patching.rs"]
mod patching;
#[path = "../examples/probe.rs"]
mod probe;
#[path = "../examples/record.rs"]
mod record;
#[path = "../examples/schedules.rs"]
mod schedules;
#[path = "../examples/threads.rs"]
mod threads;

use std::path::PathBuf;

const GPT2: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/models/gpt2-8x160"
);
const LLAMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/models/llama-8x192"
);
const PROMPT: &str = "The people of the United";

/// A text of two paragraphs, in a folder of its own.
fn text() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    let paragraph = "The people of the United States have been told that the work of the government is done, and that \
                     nothing is left but to be thankful for it. ";
    std::fs::write(&path, format!("{}\n\n{paragraph}\n", paragraph.repeat(4))).unwrap();
    (folder, path)
}

#[test]
fn prompts() {
    next_token::run(GPT2, PROMPT).unwrap();
    lens::run(GPT2, PROMPT).unwrap();
    continuations::run(GPT2, PROMPT, "drop(5)").unwrap();
    intervene::run(GPT2, PROMPT).unwrap();
    intervene::run(LLAMA, PROMPT).unwrap();
    threads::run(GPT2, LLAMA, PROMPT).unwrap();
}

#[test]
fn texts() {
    let (_folder, path) = text();
    schedules::run(GPT2, &path).unwrap();
    compare_models::run(GPT2, GPT2, &path).unwrap();
    probe::run(GPT2, &path).unwrap();
}

#[test]
fn studies() {
    own_model::run().unwrap();
    own_metric::run(GPT2, "drop(l)").unwrap();
    let prompts = ["The king of England is", "The king of France is"];
    patching::run(GPT2, prompts, [" the", " a"]).unwrap();
}

/// The test reads the recording back as it would read token ids: by its header.
#[test]
fn recorded_states_are_a_numpy_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("states.npy");
    record::run(GPT2, PROMPT, &path).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + header) % 64, 0);
    let opened = layerwise::open(GPT2).unwrap();
    let tokens = opened.tokens(PROMPT).unwrap().len();
    assert_eq!(bytes.len() - 10 - header, 4 * 8 * tokens * 160);
}
