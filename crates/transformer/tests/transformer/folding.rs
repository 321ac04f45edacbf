//! Folding and centring leave the model's function unchanged.

use crate::parity_models::models;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, Precision, TransformerError};
use ndarray::{Array2, Axis};
use std::path::Path;

/// Logits minus each position's mean, so that a constant per position does not matter.
fn up_to_a_constant(logits: Array2<f32>) -> Array2<f64> {
    let logits = logits.mapv(f64::from);
    let means = logits.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    logits - means
}

fn fixture(name: &str) -> Model {
    Model::open(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures/parity")
            .join(name),
    )
    .unwrap()
}

fn check(name: &str, before: &Model, after: &Model, exactly: bool) {
    let tokens: Vec<u32> = (0..9)
        .map(|i| (i * 7 + 3) % before.config().vocab as u32)
        .collect();
    let logits = |model: &Model| {
        model
            .logits(&tokens, &Schedule::plain(model.stack()).unwrap())
            .unwrap()
    };
    let (before, after) = (logits(before), logits(after));
    let (before, after) = match exactly {
        true => (before.mapv(f64::from), after.mapv(f64::from)),
        false => (up_to_a_constant(before), up_to_a_constant(after)),
    };
    let scale = before
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let off = (&before - &after)
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    assert!(
        off <= 2e-5 * scale,
        "{name}: logits move by {off:e} of {scale:e}"
    );
}

const LAYER_NORM: [&str; 5] = ["gpt2", "gpt_neox", "gpt_neox-sequential", "phi", "gpt2-hub"];
const RMS_NORM: [&str; 4] = ["llama", "llama-gqa-tied", "llama-bias-sharded", "qwen2"];

#[test]
fn folding_norms_keeps_the_logits() {
    for name in LAYER_NORM.iter().chain(&RMS_NORM) {
        let model = fixture(name);
        let folded = model.fold_norms();
        // A LayerNorm model's unembedding is also centred over the residual width, which changes no logit.
        check(name, &model, &folded, true);
        check(name, &folded, &folded.fold_norms(), true);
    }
}

#[test]
fn centring_keeps_the_logits_up_to_a_constant() {
    for name in LAYER_NORM {
        let model = fixture(name);
        check(name, &model, &model.center_writing_weights().unwrap(), true);
        let all = model
            .fold_norms()
            .center_writing_weights()
            .unwrap()
            .center_unembedding()
            .unwrap();
        check(name, &model, &all, false);
    }
    for name in RMS_NORM {
        let model = fixture(name);
        check(
            name,
            &model,
            &model.fold_norms().center_unembedding().unwrap(),
            false,
        );
    }
}

#[test]
fn centred_writing_weights_write_no_mean() {
    let model = fixture("gpt2").center_writing_weights().unwrap();
    let tokens = [1, 2, 3, 4];
    let residual = model
        .run(&tokens, &Schedule::plain(model.stack()).unwrap(), &mut ())
        .unwrap();
    for row in residual.outer_iter() {
        assert!(row.mean().unwrap().abs() < 1e-5);
    }
}

#[test]
fn neurons_move_logits_by_their_outputs_times_the_unembedding() {
    for name in LAYER_NORM.iter().chain(&RMS_NORM) {
        let model = fixture(name);
        // The whole model, folded; `unembed` applies its unembedding without a norm.
        let folded = match model.center_writing_weights() {
            Ok(centred) => centred.fold_norms().center_unembedding().unwrap(),
            Err(_) => model.fold_norms().center_unembedding().unwrap(),
        };
        let directions = Array2::from_diag_elem(model.config().model, 1.0);
        let unembedding = folded.unembed(directions.view());
        let bias = folded.unembed(Array2::zeros((1, model.config().model)).view());
        let expected = &unembedding - &bias;
        let found = model.folded_unembedding();
        assert_eq!(found.dim(), (model.config().model, model.config().vocab));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 1e-6,
                "{name}: {found} {expected}"
            );
        }
        for block in 0..model.config().layers {
            let outputs = model.neuron_outputs(block);
            assert_eq!(
                outputs.dim(),
                (model.config().neurons, model.config().model)
            );
            let again = folded.neuron_outputs(block);
            for (found, expected) in outputs.iter().zip(&again) {
                assert!(
                    (found - expected).abs() <= 1e-7,
                    "{name}: {found} {expected}"
                );
            }
            if LAYER_NORM.contains(name) {
                let means = outputs.mean_axis(Axis(1)).unwrap();
                assert!(means.iter().all(|mean| mean.abs() < 1e-7), "{name}");
            }
        }
    }
}

#[test]
fn rms_norm_does_not_allow_centred_writing_weights() {
    let error = fixture("llama").center_writing_weights().unwrap_err();
    assert!(
        matches!(error, TransformerError::NeedsLayerNorm { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("RMSNorm"));
}

#[test]
fn every_family_folds_where_it_is_exact_and_refuses_where_not() {
    let (mut centred, mut refused) = (0, 0);
    for (name, model) in models() {
        if model.precision() != Precision::F32 {
            continue;
        }
        let folded = model.fold_norms();
        check(name, model, &folded, true);
        match folded.center_unembedding() {
            Ok(model) => check(name, &folded, &model, false),
            Err(error) => {
                assert!(name.contains("gemma2"), "{name}: {error}");
                assert!(error.to_string().contains("a soft cap follows its logits"));
            }
        }
        match model.center_writing_weights() {
            Ok(model_centred) => {
                check(name, model, &model_centred, true);
                centred += 1;
            }
            Err(TransformerError::NeedsLayerNorm { .. } | TransformerError::NotExact { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("{name}: {other}"),
        }
        let unembedding = model.folded_unembedding();
        let config = model.config();
        assert_eq!(unembedding.dim(), (config.model, config.vocab), "{name}");
        assert_eq!(
            model.neuron_outputs(0).dim(),
            (config.neurons, config.model)
        );
    }
    assert!(centred > 10 && refused > 10, "{centred} {refused}");
}
