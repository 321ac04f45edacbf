//! The effect of keys and values in bf16 on a checkpoint's next-token distributions on texts, compared with f32.
//!
//!     cargo run --release --package layerwise --example cache_precision -- MODEL CONTEXT ROWS FILE [FILE…]
//!
//! Weights and products are in f32 both times. Prints a line of CSV for each file: means over all positions, standard errors
//! by sequence.

use layerwise::corpus::{self, Bos, Options};
use layerwise::metrics::{ClusteredMean, divergence};
use layerwise::transformer::{Precision, State, Team};
use std::path::Path;
use std::sync::Arc;

/// Positions whose logits are in memory at once.
const POSITIONS: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, context, rows, files @ ..] = arguments.as_slice() else {
        return Err("expected MODEL CONTEXT ROWS FILE [FILE…]".into());
    };
    let opened = layerwise::open(folder)?;
    let (model, tokenizer) = (&opened.model, opened.tokenizer.as_ref());
    let plain = model.plain();
    let team = Arc::new(Team::new(std::thread::available_parallelism()?));
    println!(
        "text,sequences,positions,kl_nats_mean,kl_nats_se,kl_nats_max,top1_agreement,top1_agreement_se,loss_nats,loss_change_nats,loss_change_nats_se"
    );
    for file in files {
        let mut options = Options::new(context.parse()?, model.config().vocab);
        options.rows = Some(rows.parse()?);
        options.bos = opened.bos.map_or(Bos::None, Bos::Auto);
        let corpus = corpus::read(Path::new(file), tokenizer, &options)?;
        let [mut kl, mut agreement, mut loss, mut change] = [(); 4].map(|()| ClusteredMean::new());
        let mut most = 0.0_f64;
        for tokens in corpus.sequences() {
            let state = |precision| -> Result<State<'_>, Box<dyn std::error::Error>> {
                Ok(State::new_in(model, &plain, tokens.len(), precision)?.with_team(&team))
            };
            let mut states = [state(Precision::F32)?, state(Precision::Bf16)?];
            let mut sums = [0.0; 4];
            // The last token has no next token.
            let read = &tokens[..tokens.len() - 1];
            for (part, next) in read.chunks(POSITIONS).zip(tokens[1..].chunks(POSITIONS)) {
                let mut logits = Vec::new();
                for state in &mut states {
                    let residual = state.extend(part)?;
                    logits.push(state.logits(residual.view()));
                }
                let both = logits[0].outer_iter().zip(logits[1].outer_iter());
                for ((p, q), next) in both.zip(next) {
                    let nats = divergence::kl_nats(p, q)?;
                    most = most.max(nats);
                    let same = divergence::argmax(p)? == divergence::argmax(q)?;
                    let [exact, rounded] =
                        [p, q].map(|it| divergence::loss_nats(it, *next as usize));
                    let [exact, rounded] = [exact?, rounded?];
                    let found = [nats, f64::from(u8::from(same)), exact, rounded - exact];
                    sums.iter_mut().zip(found).for_each(|(sum, it)| *sum += it);
                }
            }
            let means = [&mut kl, &mut agreement, &mut loss, &mut change];
            for (mean, sum) in means.into_iter().zip(sums) {
                mean.push(sum, read.len() as u64);
            }
        }
        let [kl, agreement, loss, change] = [kl, agreement, loss, change].map(|it| {
            let number = |it: Option<f64>| it.unwrap_or(f64::NAN);
            (number(it.mean()), number(it.standard_error()), it.count())
        });
        println!(
            "{file},{},{},{:.3e},{:.1e},{most:.3e},{:.5},{:.5},{:.4},{:.2e},{:.1e}",
            corpus.sequences().len(),
            kl.2,
            kl.0,
            kl.1,
            agreement.0,
            agreement.1,
            loss.0,
            change.0,
            change.1
        );
    }
    Ok(())
}
