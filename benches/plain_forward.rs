//! Times the plain forward pass, with logits at every position, of a checkpoint on random token ids.
//!
//!     cargo run --release --package layerwise --example plain_forward -- MODEL TOKENS THREADS REPEATS PRECISION
//!
//! Each thread runs a sequence of its own. Prints one JSON object; its rate is that of the median repeat.

use layerwise::schedule::Schedule;
use layerwise::transformer::{Model, Precision};
use layerwise::weights::Checkpoint;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, tokens, threads, repeats, precision] = arguments.as_slice() else {
        return Err("expected MODEL TOKENS THREADS REPEATS PRECISION".into());
    };
    let (tokens, threads): (usize, usize) = (tokens.parse()?, threads.parse()?);
    let precision = match precision.as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => return Err(format!("expected f32 or bf16, found `{other}`").into()),
    };
    let model = Model::from_checkpoint_in(&Checkpoint::open(Path::new(model))?, precision)?;
    let plain = Schedule::plain(model.stack())?;
    let vocab = model.config().vocab as u32;
    let sequence: Vec<u32> = (0..tokens as u32).map(|i| i * 7919 % vocab).collect();
    let mut seconds = Vec::new();
    for _ in 0..repeats.parse()? {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| model.logits(&sequence, &plain).map(|logits| logits.len())))
                .collect();
            for run in runs {
                run.join().expect("the thread does not panic")?;
            }
            Ok::<(), layerwise::transformer::TransformerError>(())
        })?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "{{\"tokens\": {}, \"seconds\": {median}, \"tokens_per_second\": {}}}",
        tokens * threads,
        (tokens * threads) as f64 / median
    );
    Ok(())
}
