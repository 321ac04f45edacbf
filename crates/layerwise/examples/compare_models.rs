//! Measures how far apart two models with one vocabulary are on a text, with a standard error clustered by paragraph.
//!
//!     cargo run --release --package layerwise --example compare_models -- MODEL OTHER text.txt

use layerwise::sweep::compare;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, other, text] = arguments.as_slice() else {
        return Err("expected MODEL OTHER TEXT".into());
    };
    run(folder, other, Path::new(text))
}

pub(crate) fn run(folder: &str, other: &str, text: &Path) -> Result<(), Box<dyn Error>> {
    let [one, other] = [layerwise::open(folder)?, layerwise::open(other)?];
    let mut paragraphs = Vec::new();
    let text = layerwise::corpus::read_text(text)?;
    for paragraph in text.split("\n\n").filter(|it| !it.trim().is_empty()) {
        let mut tokens = one.tokens(paragraph)?;
        tokens.truncate(64);
        paragraphs.push(tokens);
    }
    let found = compare(&one.model, &other.model, &paragraphs)?;
    let (mean, error) = (found.kl_nats.mean(), found.kl_nats.standard_error());
    println!(
        "{:.4} ± {:.4} nats",
        mean.unwrap_or(0.0),
        error.unwrap_or(0.0)
    );
    Ok(())
}
