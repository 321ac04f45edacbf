//! Runs two models in two threads: threads may share models, schedules and tokenizers.
//!
//!     cargo run --release --package layerwise --example threads -- MODEL OTHER "The capital of France is"

use layerwise::Opened;
use layerwise::metrics::distribution::top;
use std::error::Error;
use std::thread;

/// An error that one thread can hand to another.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, other, prompt] = arguments.as_slice() else {
        return Err("expected MODEL OTHER PROMPT".into());
    };
    run(folder, other, prompt)
}

pub(crate) fn run(folder: &str, other: &str, prompt: &str) -> Result<(), Failure> {
    let models = [layerwise::open(folder)?, layerwise::open(other)?];
    let next = |opened: &Opened| -> Result<String, Failure> {
        let tokens = opened.tokens(prompt)?;
        let logits = opened.model.logits(&tokens, &opened.model.plain())?;
        let likely = top(logits.row(tokens.len() - 1), 1)?;
        Ok(opened.text(&[likely[0].token])?)
    };
    let found = thread::scope(|scope| {
        let started = models.each_ref().map(|opened| scope.spawn(|| next(opened)));
        started.map(|thread| thread.join())
    });
    for (folder, found) in [folder, other].into_iter().zip(found) {
        println!("{folder}: {:?}", found.map_err(|_| "a thread panicked")??);
    }
    Ok(())
}
