//! Models in bf16, made from the parity fixtures.

use layerwise_kernels::bf16_features;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, Precision, TransformerError};
use layerwise_weights::Checkpoint;
use std::path::{Path, PathBuf};

/// The largest |Δ| of logits in bf16 from those in f32, as a fraction of the largest logit: a few roundings of 2⁻⁹ per block.
const TOLERANCE: f32 = 0.05;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("config.json").exists())
        .collect();
    folders.sort();
    assert!(folders.len() >= 5, "the fixtures are not found");
    folders
}

fn tokens(model: &Model, count: usize) -> Vec<u32> {
    let vocab = model.config().vocab;
    (0..count).map(|i| (i * 7 % vocab) as u32).collect()
}

#[test]
fn every_family_runs_in_bf16_and_stays_near_f32() {
    for folder in cases() {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let exact = Model::from_checkpoint(&checkpoint).unwrap();
        assert_eq!(exact.precision(), Precision::F32);
        let rounded = Model::from_checkpoint_in(&checkpoint, Precision::Bf16);
        if bf16_features().is_none() {
            let refused = rounded.unwrap_err();
            assert!(matches!(
                refused,
                TransformerError::MissingInstructions {
                    expected: "avx512bf16",
                    ..
                }
            ));
            continue;
        }
        let rounded = rounded.unwrap();
        assert_eq!(rounded.precision(), Precision::Bf16);
        let tokens = tokens(&exact, exact.config().context.min(9));
        let plain = Schedule::plain(exact.stack()).unwrap();
        let expected = exact.logits(&tokens, &plain).unwrap();
        let logits = rounded.logits(&tokens, &plain).unwrap();
        let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let off = (&logits - &expected)
            .iter()
            .fold(0.0_f32, |most, x| most.max(x.abs()));
        let name = folder.display();
        assert!(
            off <= TOLERANCE * largest,
            "{name}: off by {off} of {largest}"
        );
        assert!(off > 0.0, "{name}: nothing was rounded");

        // The laws that hold to the bit in f32 also hold in bf16.
        let residual = rounded.run(&tokens, &plain, &mut ()).unwrap();
        assert_eq!(rounded.standard_lens(residual.view()), logits, "{name}");
        let fewer = rounded.logits(&tokens[..tokens.len() - 2], &plain).unwrap();
        let part = ndarray::s![..tokens.len() - 2, ..];
        assert_eq!(logits.slice(part), fewer, "{name}");
    }
}

#[test]
fn the_final_norm_is_what_the_unembedding_reads() {
    if bf16_features().is_none() {
        return;
    }
    for folder in cases() {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let model = Model::from_checkpoint_in(&checkpoint, Precision::Bf16).unwrap();
        let plain = Schedule::plain(model.stack()).unwrap();
        let residual = model.run(&tokens(&model, 5), &plain, &mut ()).unwrap();
        let normed = model.final_norm(residual.view());
        assert!(
            normed
                .iter()
                .all(|value| Precision::Bf16.round(*value) == *value)
        );
        assert!(
            residual
                .iter()
                .any(|value| Precision::Bf16.round(*value) != *value),
            "the residual stream is not rounded"
        );
    }
}
