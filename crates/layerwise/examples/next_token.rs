//! Prints the five likeliest tokens after a prompt.
//!
//!     cargo run --release --package layerwise --example next_token -- MODEL "The capital of France is"

use layerwise::metrics::distribution::top;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, prompt] = arguments.as_slice() else {
        return Err("expected MODEL PROMPT".into());
    };
    run(folder, prompt)
}

pub(crate) fn run(folder: &str, prompt: &str) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let tokens = opened.tokens(prompt)?;
    let logits = opened.model.logits(&tokens, &opened.model.plain())?; // [tokens, vocab]
    for likely in top(logits.row(tokens.len() - 1), 5)? {
        println!(
            "{:.3} {:?}",
            likely.probability,
            opened.text(&[likely.token])?
        );
    }
    Ok(())
}
