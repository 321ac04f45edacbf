//! A patching study: which block's state at which position carries what tells two prompts apart?
//!
//! Puts each state of the clean prompt into the run of the corrupted one, and prints the share of the clean prompt's logit
//! difference that this recovers: 1 is all of it, 0 none.
//!
//!     cargo run --release --package layerwise --example patching -- MODEL "The king said that he" "The queen said that he" " was" " is"

use layerwise::schedule::{Edit, Source};
use layerwise::transformer::{Taken, Values};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, clean, corrupted, right, wrong] = arguments.as_slice() else {
        return Err("expected MODEL CLEAN CORRUPTED RIGHT WRONG".into());
    };
    run(folder, [clean, corrupted], [right, wrong])
}

pub(crate) fn run(
    folder: &str,
    prompts: [&str; 2],
    answers: [&str; 2],
) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let (model, plain) = (&opened.model, opened.model.plain());
    let [clean, corrupted] = [opened.tokens(prompts[0])?, opened.tokens(prompts[1])?];
    if clean.len() != corrupted.len() {
        return Err(format!(
            "the prompts have {} and {} tokens; give prompts of equal length",
            clean.len(),
            corrupted.len()
        )
        .into());
    }
    let tokenizer = opened.tokenizer.as_ref().ok_or("a tokenizer is needed")?;
    let [right, wrong] = [tokenizer.encode(answers[0])?, tokenizer.encode(answers[1])?];
    let last = clean.len() - 1;
    let difference = |logits: layerwise::ndarray::Array2<f32>| {
        logits[[last, right[0] as usize]] - logits[[last, wrong[0] as usize]]
    };
    let best = difference(model.logits(&clean, &plain)?);
    let worst = difference(model.logits(&corrupted, &plain)?);
    println!(
        "clean {best:+.3}, corrupted {worst:+.3}; recovered by block (rows) and position (columns):"
    );
    for block in 0..model.config().layers {
        let mut row = Vec::new();
        for position in 0..clean.len() {
            let edit = format!("donor(resid.post[{block}]@{position})");
            let patched = edit.parse::<Edit>()?.apply(&plain)?;
            let mut taken = Taken::of(patched.overlay().taken_from(Source::Donor));
            model.run(&clean, &plain, &mut taken)?;
            let mut values = Values::default();
            values.take(Source::Donor, taken);
            let found = difference(model.logits(&corrupted, (&patched, &values))?);
            row.push(format!("{:+.2}", (found - worst) / (best - worst)));
        }
        println!("{block:>2} {}", row.join(" "));
    }
    Ok(())
}
