//! Times how a checkpoint decodes, on fixed token ids.
//!
//!     cargo run --release --package layerwise --example decoding -- MODEL f32|bf16 THREADS PROMPT NEW BATCH[,BATCH…] [EDIT…]
//!
//! Each sequence of a batch has a prompt of its own; with edits, the sequences of a batch take turns among them. Prints a JSON
//! object for each batch: tokens a second of the whole batch over all steps, by the fastest step, and of the prompts.

use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::{Model, Precision, State, Team};
use layerwise::weights::Checkpoint;
use ndarray::Array2;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [
        _,
        model,
        precision,
        threads,
        prompt,
        new,
        batches,
        edits @ ..,
    ] = arguments.as_slice()
    else {
        return Err("expected MODEL f32|bf16 THREADS PROMPT NEW BATCH[,BATCH…] [EDIT…]".into());
    };
    let precision = match precision.as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        _ => return Err("expected f32 or bf16".into()),
    };
    let (prompt, new): (usize, usize) = (prompt.parse()?, new.parse()?);
    let model = Model::from_checkpoint_in(&Checkpoint::open(Path::new(model))?, precision)?;
    let plain = Schedule::plain(model.stack())?;
    let mut schedules = Vec::new();
    for edit in edits {
        schedules.push(edit.parse::<Edit>()?.apply(&plain)?);
    }
    if schedules.is_empty() {
        schedules.push(plain);
    }
    let team = Arc::new(Team::new(threads.parse()?));
    let vocab = model.config().vocab;
    let token = |row: usize, at: usize| ((row * 104_729 + at * 7919) % vocab) as u32;
    for batch in batches.split(',') {
        let batch: usize = batch.parse()?;
        let started = Instant::now();
        let mut states = Vec::new();
        for row in 0..batch {
            let schedule = &schedules[row % schedules.len()];
            let mut state = State::new(&model, schedule, prompt + new)?.with_team(&team);
            let tokens: Vec<u32> = (0..prompt).map(|at| token(row, at)).collect();
            state.extend(&tokens)?;
            states.push(state);
        }
        let prefill = started.elapsed().as_secs_f64();
        let mut seconds = Vec::new();
        for at in prompt..prompt + new {
            let tokens: Vec<[u32; 1]> = (0..batch).map(|row| [token(row, at)]).collect();
            let started = Instant::now();
            let pairs = states.iter_mut().zip(tokens.iter().map(|token| &token[..]));
            let residual: Array2<f32> = State::extend_all(&mut pairs.collect::<Vec<_>>())?;
            std::hint::black_box(states[0].logits(residual.view()));
            seconds.push(started.elapsed().as_secs_f64());
        }
        let all: f64 = seconds.iter().sum();
        let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{{\"program\": \"layerwise\", \"precision\": \"{}\", \"threads\": {}, \"batch\": {batch}, \"prompt\": {prompt}, \"new\": {new}, \"tok_s\": {}, \"best\": {}, \"prompt_tok_s\": {}}}",
            precision.name(),
            team.threads(),
            (batch * new) as f64 / all,
            batch as f64 / fastest,
            (batch * prompt) as f64 / prefill,
        );
    }
    Ok(())
}
