//! Prints what the logit lens reads after every block at the last position of a prompt.
//!
//!     cargo run --release --package layerwise --example lens -- MODEL "The capital of France is"

use layerwise::metrics::distribution::top;
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
    let mut recording = Recording::of(model.config(), &[Site::ResidPost])?.at_last();
    model.run(&tokens, &model.plain(), &mut recording)?;
    for block in 0..model.config().layers {
        let last = recording.matrix(Some(block), Site::ResidPost);
        let logits = model.standard_lens(last.ok_or("every block has it")?);
        let likely = top(logits.row(0), 3)?;
        let read = likely.iter().map(|it| -> Result<String, Box<dyn Error>> {
            let text = opened.text(&[it.token])?;
            Ok(format!("{text:?} {:.2}", it.probability))
        });
        let read = read.collect::<Result<Vec<String>, _>>()?;
        println!("block {block:>2}: {}", read.join("  "));
    }
    Ok(())
}
