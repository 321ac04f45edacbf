//! Results as the paper has them, for tests: every claim holds, but for D27, because both lenses agree.

use crate::figures::lens_entropy::Lens;
use crate::figures::models::{Facts, relative_depth, state_depth};
use crate::figures::robustness::{self, Intervention};
use crate::figures::subword_heads::Selection;
use crate::figures::suffix_neurons::Kind;
use crate::figures::{
    attention_locality, benchmarks, cka, lens_entropy, lens_kl, mlp_norm, neurons, repeats, shift,
    sublayer_ratio, subword_heads, suffix_probe, wic,
};
use crate::results::Results;

/// Models of five families, one above 10B parameters.
pub(crate) fn models() -> Vec<Facts> {
    let facts = |name: &str, family: &str, layers: usize, parameters: u64| Facts {
        name: name.to_owned(),
        family: family.to_owned(),
        layers,
        parameters,
    };
    vec![
        facts("gpt2", "gpt2", 12, 124_000_000),
        facts("gpt2-medium", "gpt2", 24, 355_000_000),
        facts("pythia-410m", "gpt_neox", 24, 405_000_000),
        facts("pythia-12b", "gpt_neox", 36, 12_000_000_000),
        facts("phi-1", "phi", 24, 1_300_000_000),
        facts("phi-1_5", "phi", 24, 1_300_000_000),
        facts("phi-2", "phi", 32, 2_700_000_000),
        facts("Llama-3.2-1B", "llama", 16, 1_200_000_000),
        facts("Qwen2.5-0.5B", "qwen2", 24, 494_000_000),
    ]
}

/// The results of some models.
pub(crate) fn results(models: &[Facts]) -> Results {
    let mut results = Results::default();
    for facts in models {
        let of_model = Synthetic { facts };
        of_model.interventions(&mut results);
        of_model.attention(&mut results);
        of_model.representations(&mut results);
        of_model.lenses(&mut results);
        of_model.weights(&mut results);
        of_model.outputs(&mut results);
        of_model.shifted(&mut results);
    }
    results
}

struct Synthetic<'a> {
    facts: &'a Facts,
}

impl Synthetic<'_> {
    fn model(&self) -> String {
        self.facts.name.clone()
    }

    fn family(&self) -> String {
        self.facts.family.clone()
    }

    /// Blocks with their depths.
    fn blocks(&self) -> impl Iterator<Item = (usize, f64)> + use<> {
        let layers = self.facts.layers;
        (0..layers).map(move |layer| (layer, relative_depth(layer, layers)))
    }

    /// Residual streams with their depths.
    fn states(&self) -> impl Iterator<Item = (usize, f64)> + use<> {
        let layers = self.facts.layers;
        (0..=layers).map(move |state| (state, state_depth(state, layers)))
    }

    fn interventions(&self, results: &mut Results) {
        let layers = self.facts.layers;
        let pythia = self.facts.family == "gpt_neox";
        for (intervention, share, last) in
            [(Intervention::Drop, 1.0, 1), (Intervention::Swap, 0.5, 2)]
        {
            for (layer, depth) in self.blocks().take(layers + 1 - last) {
                let level = if pythia { 0.4 } else { 0.2 };
                let agreement = 0.75 + 0.002 * layers as f64 + 0.01 * depth;
                let (kl, agreement) = match layer {
                    0 => (8.0, 0.05),
                    _ if pythia && layer + 2 == layers => (share * level, 0.3),
                    _ => (share * level, agreement),
                };
                results.robustness.push(robustness::Record {
                    model: self.model(),
                    family: self.family(),
                    intervention,
                    layer,
                    layers,
                    relative_depth: depth,
                    kl_nats: kl,
                    kl_nats_se: Some(0.01),
                    top1_agreement: agreement,
                    top1_agreement_se: Some(0.01),
                    entropy_bits: 7.0,
                    entropy_bits_se: Some(0.01),
                    entropy_difference_bits: if layer == 0 { 3.0 } else { 0.1 },
                    entropy_difference_bits_se: Some(0.01),
                    loss_nats: 4.0,
                    loss_nats_se: Some(0.01),
                    sequences: 10,
                    positions: 1000,
                });
            }
            results.robustness_collapse.push(robustness::Collapse {
                model: self.model(),
                family: self.family(),
                intervention,
                layer: 0,
                modal_token: 11,
                modal_share: 0.2,
                modal_share_se: Some(0.01),
                sequences: 10,
                positions: 1000,
            });
        }
    }

    fn attention(&self, results: &mut Results) {
        let layers = self.facts.layers;
        for (layer, depth) in self.blocks() {
            let rise = if layer + 1 == layers { 0.01 } else { 0.0 };
            results.attention_locality.push(attention_locality::Record {
                model: self.model(),
                family: self.family(),
                layer,
                layers,
                relative_depth: depth,
                measure: attention_locality::Measure::PreviousFive,
                tokens: 5,
                attention: 0.1 - 0.08 * depth + rise,
                attention_se: Some(0.001),
                sequences: 10,
                positions: 1000,
            });
            results.sublayer_ratio.push(sublayer_ratio::Record {
                model: self.model(),
                family: self.family(),
                layer,
                layers,
                relative_depth: depth,
                attn_out_norm: 1.0,
                attn_out_norm_se: None,
                mlp_out_norm: 1.0,
                mlp_out_norm_se: None,
                ratio: 2.0 - 1.5 * depth,
                ratio_se: None,
                relative_update: 0.5,
                relative_update_se: None,
                update_cosine: 0.0,
                update_cosine_se: None,
                sequences: 10,
                positions: 1000,
            });
            for head in 0..2 {
                let merges = head == 0 && 2 * layer < layers;
                let apart = [0.3, 0.05, 0.02];
                let pieces = if merges { [0.1, 0.3, 0.5] } else { apart };
                for (selection, values) in [
                    (Selection::Single, apart),
                    (Selection::Multi, pieces),
                    (Selection::MultiFiltered, pieces),
                ] {
                    for (token, attention) in (1..).zip(values) {
                        results.subword_heads.push(subword_heads::Record {
                            model: self.model(),
                            family: self.family(),
                            layer,
                            head,
                            layers,
                            selection,
                            token,
                            attention,
                            attention_se: Some(0.01),
                            windows: 988,
                        });
                    }
                }
            }
        }
    }

    fn representations(&self, results: &mut Results) {
        let layers = self.facts.layers;
        for (layer, depth) in self.blocks() {
            for (other_layer, other) in self.blocks() {
                let inside = [depth, other].map(super::evidence::is_middle);
                results.cka.push(cka::Record {
                    model: self.model(),
                    family: self.family(),
                    estimator: cka::Estimator::LastToken,
                    layer,
                    other_layer,
                    layers,
                    cka: if inside == [true; 2] || layer == other_layer {
                        0.9
                    } else {
                        0.4
                    },
                    batches: 8,
                    samples: 128,
                });
            }
        }
        for (state, depth) in self.states() {
            results.wic.push(wic::Record {
                model: self.model(),
                family: self.family(),
                pairs_of: "wic".to_owned(),
                method: wic::Method::Probe,
                state,
                layers,
                relative_depth: depth,
                accuracy: 0.55 + 0.15 * (1.0 - (2.0 * depth - 1.0).abs()),
                accuracy_se: Some(0.01),
                chosen: 1.0,
                train_pairs: 5428,
                dev_pairs: 638,
                test_pairs: 1400,
            });
        }
    }

    fn lenses(&self, results: &mut Results) {
        let layers = self.facts.layers;
        let steepness = if self.facts.name == "phi-1" {
            5.0
        } else {
            19.0
        };
        for lens in [Lens::Standard, Lens::Legacy] {
            for (state, depth) in self.states() {
                let late = (depth - 0.5).max(0.0);
                // The last two blocks make the output less certain again.
                let rise = 0.5 * (state + 2).saturating_sub(layers) as f64;
                let entropy_depth = if rise > 0.0 {
                    state_depth(layers - 2, layers)
                } else {
                    depth
                };
                let fall = 16.0 * (entropy_depth - 0.5).max(0.0);
                results.lens_entropy.push(lens_entropy::Record {
                    model: self.model(),
                    family: self.family(),
                    lens,
                    state,
                    layers,
                    relative_depth: depth,
                    entropy_bits: 14.0 - entropy_depth.min(0.5) - fall + rise,
                    entropy_bits_se: Some(0.01),
                    entropy_bits_sd: Some(0.1),
                    sequences: 10,
                    positions: 1000,
                });
                results.lens_kl.push(lens_kl::Record {
                    model: self.model(),
                    family: self.family(),
                    lens,
                    state,
                    layers,
                    relative_depth: depth,
                    kl_nats: 10.0 - depth.min(0.5) - steepness * late,
                    kl_nats_se: Some(0.01),
                    reverse_kl_nats: 1.0,
                    reverse_kl_nats_se: None,
                    top1_agreement: depth,
                    top1_agreement_se: None,
                    sequences: 10,
                    positions: 1000,
                });
            }
        }
    }

    fn weights(&self, results: &mut Results) {
        let (prediction, suppression) = match (self.facts.family.as_str(), self.facts.name.as_str())
        {
            ("gpt2", _) => (2.3, 3.85),
            ("phi", "phi-1") => (5.0, 10.0),
            ("phi", _) => (15.0, 25.0),
            _ => (3.0, 5.0),
        };
        let count = |percent: f64| (percent / 100.0 * 4096.0).round() as usize;
        for (layer, depth) in self.blocks() {
            let prediction = prediction * (1.0 - (depth - 0.85).abs() / 0.35).max(0.0);
            let suppression = suppression * ((depth - 0.7) / 0.3).max(0.0);
            results.neurons.push(neurons::Record {
                model: self.model(),
                family: self.family(),
                layer,
                layers: self.facts.layers,
                relative_depth: depth,
                neurons: 4096,
                prediction: count(prediction),
                suppression: count(suppression),
                partition: 0,
                prediction_percent: prediction,
                suppression_percent: suppression,
                partition_percent: 0.0,
                kurtosis_p05: 3.0,
                kurtosis_p25: 3.0,
                kurtosis_p50: 3.0,
                kurtosis_p75: 3.0,
                kurtosis_p95: 3.0,
                skewness_p05: 0.0,
                skewness_p25: 0.0,
                skewness_p50: 0.0,
                skewness_p75: 0.0,
                skewness_p95: 0.0,
                heavy_skewness_p50: None,
            });
        }
        for rank in 1..=32 {
            results.suffix_probe.push(suffix_probe::Record {
                model: self.model(),
                family: self.family(),
                rank,
                layer: self.facts.layers - 1,
                layers: self.facts.layers,
                neuron: rank,
                kind: if rank == 1 {
                    Kind::Suppression
                } else {
                    Kind::Prediction
                },
                single_accuracy: if rank == 1 { 0.9 } else { 0.8 },
                single_accuracy_se: Some(0.01),
                ensemble_accuracy: 0.9 + 0.002 * rank as f64,
                ensemble_accuracy_se: Some(0.01),
                model_accuracy: 0.905,
                model_accuracy_se: Some(0.01),
                examples: 2000,
            });
        }
    }

    fn outputs(&self, results: &mut Results) {
        let layers = self.facts.layers;
        for (layer, depth) in self.blocks() {
            results.mlp_norm.push(mlp_norm::Record {
                model: self.model(),
                family: self.family(),
                layer,
                layers,
                relative_depth: depth,
                mlp_out_norm: 1.0 + 9.0 * depth * depth,
                mlp_out_norm_se: Some(0.01),
                sequences: 10,
                positions: 1000,
            });
            for blocks in [3, 5] {
                if layer + blocks > layers {
                    continue;
                }
                let middle = relative_depth(layer + blocks / 2, layers);
                results.repeats.push(repeats::Record {
                    model: self.model(),
                    family: self.family(),
                    blocks,
                    start: layer,
                    layers,
                    relative_depth: middle,
                    entropy_bits: 4.0,
                    entropy_bits_se: Some(0.01),
                    plain_entropy_bits: 4.0,
                    entropy_difference_bits: if middle > 0.5 { -0.2 } else { 0.3 },
                    entropy_difference_bits_se: Some(0.01),
                    kl_nats: 0.1,
                    kl_nats_se: None,
                    loss_difference_nats: 0.1,
                    loss_difference_nats_se: None,
                    sequences: 10,
                    positions: 1000,
                });
            }
        }
        self.benchmark(results, benchmarks::Intervention::None, None, 0.5);
        for (layer, depth) in self.blocks() {
            let accuracy = match layer {
                0 => 0.25,
                _ if layer + 1 == layers => 0.3,
                _ => 0.45,
            };
            self.benchmark(
                results,
                benchmarks::Intervention::Drop,
                Some((layer, depth)),
                accuracy,
            );
            if layer + 1 < layers {
                self.benchmark(
                    results,
                    benchmarks::Intervention::Swap,
                    Some((layer, depth)),
                    accuracy,
                );
            }
            if layer + 5 <= layers {
                let middle = relative_depth(layer + 2, layers);
                let accuracy = if middle > 0.8 { 0.52 } else { 0.48 };
                self.benchmark(
                    results,
                    benchmarks::Intervention::RepeatFive,
                    Some((layer, middle)),
                    accuracy,
                );
            }
        }
    }

    fn benchmark(
        &self,
        results: &mut Results,
        intervention: benchmarks::Intervention,
        place: Option<(usize, f64)>,
        accuracy: f64,
    ) {
        results.benchmarks.push(benchmarks::Record {
            model: self.model(),
            family: self.family(),
            task: "hellaswag".to_owned(),
            intervention,
            layer: place.map(|(layer, _)| layer),
            layers: self.facts.layers,
            relative_depth: place.map(|(_, depth)| depth),
            accuracy,
            accuracy_se: Some(0.01),
            difference: accuracy - 0.5,
            difference_se: Some(0.01),
            items: 1000,
        });
    }

    /// The plain measures again, as those on another text.
    fn shifted(&self, results: &mut Results) {
        let record = |measure, index, relative_depth, value| shift::Record {
            model: self.model(),
            family: self.family(),
            text: "code".to_owned(),
            shifted: true,
            measure,
            index,
            layers: self.facts.layers,
            relative_depth,
            value,
            value_se: None,
            sequences: 10,
            positions: 1000,
        };
        let mut records = Vec::new();
        let own = results
            .lens_kl
            .iter()
            .filter(|r| r.model == self.facts.name);
        for r in own.filter(|r| r.lens == Lens::Standard) {
            records.push(record(
                shift::Measure::LensKl,
                r.state,
                r.relative_depth,
                r.kl_nats,
            ));
        }
        let own = results
            .lens_entropy
            .iter()
            .filter(|r| r.model == self.facts.name);
        for r in own.filter(|r| r.lens == Lens::Standard) {
            records.push(record(
                shift::Measure::LensEntropy,
                r.state,
                r.relative_depth,
                r.entropy_bits,
            ));
        }
        for r in results
            .mlp_norm
            .iter()
            .filter(|r| r.model == self.facts.name)
        {
            records.push(record(
                shift::Measure::MlpOutNorm,
                r.layer,
                r.relative_depth,
                r.mlp_out_norm,
            ));
        }
        for r in results
            .attention_locality
            .iter()
            .filter(|r| r.model == self.facts.name)
        {
            records.push(record(
                shift::Measure::PreviousFive,
                r.layer,
                r.relative_depth,
                r.attention,
            ));
        }
        results.shift.extend(records);
    }
}
