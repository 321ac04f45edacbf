//! What the logit lens reads after every block at the last position of a prompt.
//!
//!     cargo run --release --package layerwise --example lens -- MODEL "The capital of France is"

use layerwise::metrics::distribution::top;
use layerwise::ndarray::{Ix2, s};
use layerwise::schedule::Site;
use layerwise::transformer::Recording;
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
    let model = &opened.model;
    let tokens = opened.tokens(prompt)?;
    let mut recording = Recording::of(model.config(), &[Site::ResidPost])?;
    model.run(&tokens, &model.plain(), &mut recording)?;
    for (address, states) in recording.activations() {
        let last = states.view().into_dimensionality::<Ix2>()?;
        let logits = model.standard_lens(last.slice(s![tokens.len() - 1.., ..]));
        let likely = top(logits.row(0), 3)?;
        let read = likely.iter().map(|it| -> Result<String, Box<dyn Error>> {
            let text = opened.text(&[it.token])?;
            Ok(format!("{text:?} {:.2}", it.probability))
        });
        let read = read.collect::<Result<Vec<String>, _>>()?;
        println!(
            "block {:>2}: {}",
            address.block.unwrap_or(0),
            read.join("  ")
        );
    }
    Ok(())
}
