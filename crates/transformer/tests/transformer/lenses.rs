//! Compares both lenses with the output in tiles, and checks the result against whole rows of logits.

use layerwise_architecture::{Mlp, Norm, NormPlace};
use layerwise_kernels::comparison::Comparison;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Address, Model, ModelConfig, Observer, Site};
use ndarray::{Array2, ArrayView1, ArrayViewD};
use std::convert::Infallible;

/// Every residual stream of a run, starting with the embedding.
struct Streams(Vec<Array2<f32>>);

impl Observer for Streams {
    fn wants(&self, address: Address) -> bool {
        matches!(address.site, Site::Embed | Site::ResidPost)
    }
    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        self.0
            .push(activation.to_owned().into_dimensionality().unwrap());
    }
}

fn log_sum_exp(z: &[f64]) -> f64 {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + z.iter().map(|z| (z - top).exp()).sum::<f64>().ln()
}

/// Entropy, KL(p ‖ q) and KL(q ‖ p) in nats from whole rows of logits, in f64.
fn whole(z: &[f64], theirs: &[f64]) -> [f64; 3] {
    let log_probabilities = |z: &[f64]| -> Vec<f64> {
        let log_sum_exp = log_sum_exp(z);
        z.iter().map(|z| z - log_sum_exp).collect()
    };
    let (q, p) = (log_probabilities(z), log_probabilities(theirs));
    let kl =
        |p: &[f64], q: &[f64]| -> f64 { p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum() };
    let entropy = -q.iter().map(|q| q.exp() * q).sum::<f64>();
    [entropy, kl(&p, &q), kl(&q, &p)]
}

fn check(model: &Model, seed: u32) {
    let tokens: Vec<u32> = (0..60).map(|i| (i * 7 + seed) % 50).collect();
    let mut streams = Streams(Vec::new());
    let last = model
        .run(
            &tokens,
            &Schedule::plain(model.stack()).unwrap(),
            &mut streams,
        )
        .unwrap();
    let streams = streams.0;
    let states: Vec<_> = streams
        .iter()
        .map(|stream| model.lens_state(stream.view()))
        .collect();
    let ended = model.compare_lenses(&states, || Err("enough"));
    assert_eq!(ended, Err("enough"));
    let Ok(found) = model.compare_lenses(&states, || Ok::<(), Infallible>(()));
    let rows = |logits: Array2<f32>| -> Vec<Vec<f64>> {
        let row = |row: ArrayView1<'_, f32>| row.iter().copied().map(f64::from).collect();
        logits.outer_iter().map(row).collect()
    };
    let output = rows(model.standard_lens(last.view()));
    let agrees = |found: &[Comparison], logits: Vec<Vec<f64>>, lens: &str, state: usize| {
        for (position, (found, z)) in found.iter().zip(&logits).enumerate() {
            let their_lse = log_sum_exp(&output[position]);
            let own = found.summary;
            let found_values = [
                own.log_sum_exp - own.mean_logit,
                own.log_sum_exp - their_lse - found.change_under_reference,
                their_lse - own.log_sum_exp - found.change_under_own,
            ];
            for (found, expected) in found_values.iter().zip(whole(z, &output[position])) {
                assert!(
                    (found - expected).abs() < 3e-5 * (1.0 + expected.abs()),
                    "{lens} lens at state {state}, position {position}: {found}, not {expected}"
                );
            }
        }
    };
    for (state, stream) in streams.iter().enumerate() {
        let stream = stream.view();
        agrees(
            &found.standard[state],
            rows(model.standard_lens(stream)),
            "standard",
            state,
        );
        agrees(
            &found.legacy[state],
            rows(model.legacy_lens(stream, last.view())),
            "legacy",
            state,
        );
    }
    let at_last = found.standard.last().unwrap();
    for (at_last, output) in at_last.iter().zip(&found.output) {
        assert_eq!(at_last.change_under_reference, 0.0);
        assert!((at_last.summary.log_sum_exp - output.log_sum_exp).abs() < 1e-9);
    }
}

#[test]
fn capped_scaled_and_projected_logits() {
    let change = |change: fn(&mut ModelConfig)| ModelConfig::tiny().with(change);
    let configs = [
        change(|c| c.logit_cap = Some(2.0)),
        change(|c| c.logit_scale = 0.3),
        change(|c| c.embedding = Some(20)),
        change(|c| {
            c.embedding = Some(20);
            c.logit_cap = Some(3.0);
            c.logit_scale = 2.0;
            c.unembedding_bias = true;
        }),
        change(|c| {
            c.norm_place = NormPlace::OfSum;
            c.final_norm = false;
        }),
    ];
    for (seed, config) in configs.into_iter().enumerate() {
        check(&Model::random(config, 7), seed as u32);
    }
}

#[test]
fn a_norm_with_bias() {
    check(&Model::random(ModelConfig::tiny(), 3), 1);
}

#[test]
fn a_norm_and_an_unembedding_with_bias() {
    let config = ModelConfig::tiny().with(|c| {
        c.unembedding_bias = true;
        c.tied = false;
    });
    check(&Model::random(config, 4), 2);
}

#[test]
fn a_norm_without_bias() {
    let config = ModelConfig::tiny().with(|c| {
        c.norm = Norm::RmsNorm;
        c.mlp = Mlp::Gated;
    });
    check(&Model::random(config, 5), 3);
    let with_bias = ModelConfig::tiny().with(|c| {
        c.norm = Norm::RmsNorm;
        c.unembedding_bias = true;
        c.tied = false;
    });
    check(&Model::random(with_bias, 6), 4);
}
