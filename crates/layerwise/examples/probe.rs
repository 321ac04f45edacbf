//! Probes every block's output linearly (does a token begin with a space?), and prints how alike the blocks are.
//!
//!     cargo run --release --package layerwise --example probe -- MODEL text.txt

use layerwise::metrics::{Cka, Standardizer, logistic_regression, threshold};
use layerwise::ndarray::{ArrayView2, Ix2, s};
use layerwise::schedule::Site;
use layerwise::transformer::Recording;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, text] = arguments.as_slice() else {
        return Err("expected MODEL TEXT".into());
    };
    run(folder, Path::new(text))
}

pub(crate) fn run(folder: &str, text: &Path) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let mut tokens = opened.tokens(&layerwise::corpus::read_text(text)?)?;
    tokens.truncate(opened.model.config().context.min(128));
    let mut labels = Vec::new();
    for token in &tokens {
        labels.push(opened.text(&[*token])?.starts_with(' '));
    }
    let mut recording = Recording::of(opened.model.config(), &[Site::ResidPost])?;
    opened
        .model
        .run(&tokens, &opened.model.plain(), &mut recording)?;
    let blocks = recording.activations().values();
    let blocks = blocks.map(|states| states.view().into_dimensionality::<Ix2>());
    let blocks: Vec<ArrayView2<'_, f32>> = blocks.collect::<Result<_, _>>()?;
    let mut cka = Cka::new(blocks.len());
    cka.push(&blocks)?;
    let similarity = cka.similarity()?;
    // Fit on the first half, test on the second.
    let half = tokens.len() / 2;
    for (block, states) in blocks.iter().enumerate() {
        let (train, test) = (states.slice(s![..half, ..]), states.slice(s![half.., ..]));
        let scale = Standardizer::fit(train)?;
        let fit = logistic_regression(scale.apply(train)?.view(), &labels[..half], 0.1)?;
        let found = fit.log_odds(scale.apply(test)?.view())?;
        let samples: Vec<(f64, bool)> = found
            .into_iter()
            .zip(labels[half..].iter().copied())
            .collect();
        let accuracy = threshold::accuracy(&samples, 0.0)?.mean().unwrap_or(0.0);
        println!(
            "block {block:>2}: accuracy {accuracy:.3}, CKA with block 0 {:.3}",
            similarity[[0, block]]
        );
    }
    Ok(())
}
