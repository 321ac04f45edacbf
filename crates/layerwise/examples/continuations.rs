//! Generates twenty tokens with the plain model and with an altered one, in one batch.
//!
//!     cargo run --release --package layerwise --example continuations -- MODEL "The capital of France is" "drop(5)"

use layerwise::generate::{Free, Generation, Settings};
use layerwise::schedule::Edit;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, prompt, edit] = arguments.as_slice() else {
        return Err("expected MODEL PROMPT EDIT".into());
    };
    run(folder, prompt, edit)
}

pub(crate) fn run(folder: &str, prompt: &str, edit: &str) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let tokens = opened.tokens(prompt)?;
    let plain = opened.model.plain();
    let altered = edit.parse::<Edit>()?.apply(&plain)?;
    let settings = Settings::default().with(|it| it.max_tokens = 20);
    let prompts = [(&plain, &tokens[..]), (&altered, &tokens[..])];
    let all = Generation::all(&opened.model, &prompts, &settings, &Free);
    let mut all = all.map_err(|failed| failed.1)?;
    while all.iter().any(|it| it.end().is_none()) {
        for choice in Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>()) {
            choice.transpose()?;
        }
    }
    for (name, generation) in ["id", edit].into_iter().zip(&all) {
        println!("{name}: {prompt}{}", opened.text(generation.tokens())?);
    }
    Ok(())
}
