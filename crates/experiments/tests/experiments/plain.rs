//! The plain pass compared with whole attention patterns, whole rows of logits and explicit formulas.

use layerwise_architecture::{Attention, Family, Mlp, Norm, PerLayer, Residual, Rotary};
use layerwise_corpus::{Corpus, Options, of_ids};
use layerwise_experiments::attention_locality::{self, Measure};
use layerwise_experiments::cka::{self, Estimator};
use layerwise_experiments::core::data::Data;
use layerwise_experiments::core::error::ExperimentError;
use layerwise_experiments::core::experiment::Passes;
use layerwise_experiments::core::lens::Lens;
use layerwise_experiments::core::plain::{self, Observation};
use layerwise_experiments::core::subject::{Runs, Subject, Text};
use layerwise_experiments::core::table;
use layerwise_experiments::core::tables::Tables;
use layerwise_experiments::{
    experiment, lens_entropy, lens_kl, mlp_norm, sublayer_ratio, with_needed,
};
use layerwise_journal::{Journal, RunDescription};
use layerwise_metrics::divergence;
use layerwise_schedule::Schedule;
use layerwise_sweep::{Described, Journals, Runner};
use layerwise_transformer::{Model, ModelConfig, Recording, Site};
use ndarray::{Array2, ArrayD, ArrayView2, Ix2, s};
use serde_json::json;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Experiments that together observe everything that can be observed.
const ALL: &[&str] = &[
    "attention-locality",
    "cka",
    "lens-entropy",
    "lens-kl",
    "mlp-norm",
    "sublayer-ratio",
];

fn models() -> [Model; 2] {
    let parallel = ModelConfig::tiny().with(|c| {
        c.family = Family::GptNeoX;
        c.norm = Norm::RmsNorm;
        c.residual = Residual::ParallelTwoNorms;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(4, 100.0)));
        c.mlp = Mlp::Gated;
        c.kv_heads = 2;
        c.unembedding_bias = true;
        c.tied = false;
    });
    [
        Model::random(ModelConfig::tiny(), 5),
        Model::random(parallel, 6),
    ]
}

/// Sequences of unequal lengths, some shorter than the greatest distance measured.
fn sequences() -> Vec<Vec<u32>> {
    [21, 3, 40, 7, 18]
        .into_iter()
        .enumerate()
        .map(|(at, length)| {
            (0..length)
                .map(|i| (i * i * 7 + i + 13 * at as u32) % 50)
                .collect()
        })
        .collect()
}

/// A text that nothing reads, since the sequences are given.
pub(crate) fn no_text() -> (Corpus, Options) {
    let options = Options::new(8, 50);
    (of_ids(&[vec![1, 2, 3]], &options).unwrap(), options)
}

/// A model without a tokenizer, and a text.
pub(crate) fn subject<'a>(
    model: &'a Model,
    (corpus, options): (&'a Corpus, &'a Options),
    data: &'a Data,
    runs: Runs<'a>,
) -> Subject<'a> {
    Subject {
        data,
        runs,
        ..Subject::new(model, "m", Text::new("text", corpus, options))
    }
}

/// The records of some experiments on sequences, with journals in a folder.
fn observe(
    folder: &Path,
    model: &Model,
    sequences: &[Vec<u32>],
    experiments: &[&str],
    threads: usize,
) -> Result<Tables, Box<ExperimentError>> {
    let chosen: Vec<_> = experiments.iter().filter_map(|id| experiment(id)).collect();
    let observations: Vec<&dyn Observation> = with_needed(&chosen)
        .iter()
        .flat_map(|experiment| experiment.observations())
        .copied()
        .collect();
    let runs = Runs {
        model: layerwise_sweep::Subject::new(model, "m", Vec::new()),
        runner: Runner::new()
            .threads(NonZeroUsize::new(threads).unwrap())
            .journals(Journals::Folder(folder.to_owned())),
    };
    let observed = plain::observe(&runs, sequences, &observations)?;
    let (corpus, options) = no_text();
    let data = Data::default();
    let subject = subject(model, (&corpus, &options), &data, runs);
    let passes = Passes {
        observed,
        ..Passes::default()
    };
    let mut tables = Tables::default();
    for experiment in with_needed(&chosen) {
        if !experiment.observations().is_empty() {
            experiment.measure(&subject, &passes, &mut tables)?;
        }
    }
    Ok(tables)
}

fn found(model: &Model, experiments: &[&str], threads: usize) -> Tables {
    let folder = tempfile::tempdir().unwrap();
    observe(folder.path(), model, &sequences(), experiments, threads).unwrap()
}

/// The activations of one sequence.
struct Seen {
    recording: Recording,
    seq: usize,
}

impl Seen {
    fn all(model: &Model) -> Vec<Self> {
        let sites = [
            Site::Embed,
            Site::ResidPre,
            Site::AttnPattern,
            Site::AttnOut,
            Site::MlpOut,
            Site::ResidPost,
        ];
        let plain = Schedule::plain(model.stack()).unwrap();
        let seen = |tokens: &Vec<u32>| {
            let mut recording = Recording::of(model.config(), &sites).unwrap();
            model.run(tokens, &plain, &mut recording).unwrap();
            let seq = tokens.len();
            Self { recording, seq }
        };
        sequences().iter().map(seen).collect()
    }

    fn at(&self, block: usize, site: Site) -> &ArrayD<f32> {
        self.recording.get(Some(block), site).unwrap()
    }

    fn row(&self, block: usize, site: Site, position: usize) -> Vec<f64> {
        let activation = self.at(block, site).view();
        let row = activation.into_dimensionality::<Ix2>().unwrap();
        row.row(position).iter().copied().map(f64::from).collect()
    }

    /// Residual stream s, \[seq, model\].
    fn stream(&self, state: usize) -> ArrayView2<'_, f32> {
        let stream = match state {
            0 => self.recording.get(None, Site::Embed).unwrap(),
            _ => self.at(state - 1, Site::ResidPost),
        };
        stream.view().into_dimensionality().unwrap()
    }
}

/// Mean and clustered standard error of values, sequence by sequence.
fn statistic(values: &[Vec<f64>]) -> (f64, f64) {
    let total: f64 = values.iter().flatten().sum();
    let count: usize = values.iter().map(Vec::len).sum();
    let mean = total / count as f64;
    let groups = values.iter().filter(|values| !values.is_empty()).count() as f64;
    let squares: f64 = values
        .iter()
        .map(|values| (values.iter().sum::<f64>() - mean * values.len() as f64).powi(2))
        .sum();
    (
        mean,
        (groups / (groups - 1.0) * squares).sqrt() / count as f64,
    )
}

#[track_caller]
fn check(what: &str, found: (f64, Option<f64>), values: &[Vec<f64>]) {
    let (mean, error) = statistic(values);
    let close =
        |found: f64, expected: f64| (found - expected).abs() < 2e-5 * (1.0 + expected.abs());
    assert!(close(found.0, mean), "{what}: {}, not {mean}", found.0);
    let found_error = found.1.unwrap();
    assert!(
        close(found_error, error),
        "{what}: standard error {found_error}, not {error}"
    );
}

#[test]
fn attention_is_that_of_whole_patterns() {
    for model in models() {
        let (tables, seen) = (found(&model, ALL, 2), Seen::all(&model));
        assert_eq!(tables.of::<attention_locality::Record>().len(), 4 * 11);
        for record in tables.of::<attention_locality::Record>() {
            let values: Vec<Vec<f64>> = seen
                .iter()
                .map(|seen| {
                    let pattern = seen.at(record.layer, Site::AttnPattern);
                    let weight = |query: usize, key: usize| {
                        let heads = pattern.shape()[0];
                        let all = (0..heads).map(|head| f64::from(pattern[[head, query, key]]));
                        all.sum::<f64>() / heads as f64
                    };
                    let k = record.tokens;
                    match record.measure {
                        Measure::Offset => (k..seen.seq).map(|q| weight(q, q - k)).collect(),
                        Measure::Cumulative => (k..seen.seq)
                            .map(|q| (q - k..q).map(|key| weight(q, key)).sum())
                            .collect(),
                        Measure::PreviousFive => (0..seen.seq)
                            .flat_map(|q| (q.saturating_sub(5)..q).map(move |key| (q, key)))
                            .map(|(q, key)| weight(q, key))
                            .collect(),
                    }
                })
                .collect();
            let what = format!(
                "{:?} {} of block {}",
                record.measure, record.tokens, record.layer
            );
            check(&what, (record.attention, record.attention_se), &values);
            let count: usize = values.iter().map(Vec::len).sum();
            assert_eq!(record.positions, count as u64, "{what}");
        }
    }
}

#[test]
fn updates_are_those_of_whole_activations() {
    for model in models() {
        let (tables, seen) = (found(&model, ALL, 2), Seen::all(&model));
        assert_eq!(tables.of::<sublayer_ratio::Record>().len(), 4);
        for (record, of_mlp) in tables
            .of::<sublayer_ratio::Record>()
            .iter()
            .zip(tables.of::<mlp_norm::Record>())
        {
            let values = |of: fn(&[f64], &[f64], &[f64]) -> f64| -> Vec<Vec<f64>> {
                let one = |seen: &Seen| {
                    let at = |site, position| seen.row(record.layer, site, position);
                    (1..seen.seq)
                        .map(|p| {
                            of(
                                &at(Site::ResidPre, p),
                                &at(Site::AttnOut, p),
                                &at(Site::MlpOut, p),
                            )
                        })
                        .collect()
                };
                seen.iter().map(one).collect()
            };
            fn norm(x: &[f64]) -> f64 {
                x.iter().map(|x| x * x).sum::<f64>().sqrt()
            }
            fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| a + b).collect()
            }
            check(
                "attention",
                (record.attn_out_norm, record.attn_out_norm_se),
                &values(|_, a, _| norm(a)),
            );
            let mlp = values(|_, _, m| norm(m));
            check("mlp", (record.mlp_out_norm, record.mlp_out_norm_se), &mlp);
            check("mlp", (of_mlp.mlp_out_norm, of_mlp.mlp_out_norm_se), &mlp);
            check(
                "ratio",
                (record.ratio, record.ratio_se),
                &values(|_, a, m| norm(a) / norm(m)),
            );
            let relative = values(|h, a, m| norm(&sum(a, m)) / norm(h));
            check(
                "relative",
                (record.relative_update, record.relative_update_se),
                &relative,
            );
            let cosine = values(|h, a, m| {
                let update = sum(a, m);
                let along: f64 = update.iter().zip(h).map(|(u, h)| u * h).sum();
                along / (norm(&update) * norm(h))
            });
            check(
                "cosine",
                (record.update_cosine, record.update_cosine_se),
                &cosine,
            );
            assert_eq!(record.positions, (21 + 3 + 40 + 7 + 18 - 5) as u64);
        }
    }
}

/// A quantity of a lens' logits and the output's, each \[seq, vocab\], at one position.
type AtPosition<'a> = &'a dyn Fn(&Array2<f32>, &Array2<f32>, usize) -> f64;

#[test]
fn lenses_are_those_of_whole_rows_of_logits() {
    for model in models() {
        let (tables, seen) = (found(&model, ALL, 2), Seen::all(&model));
        assert_eq!(tables.of::<lens_kl::Record>().len(), 2 * 5);
        for (kl, entropy) in tables
            .of::<lens_kl::Record>()
            .iter()
            .zip(tables.of::<lens_entropy::Record>())
        {
            assert_eq!((kl.lens, kl.state), (entropy.lens, entropy.state));
            let rows: Vec<(Array2<f32>, Array2<f32>)> = seen
                .iter()
                .map(|seen| {
                    let (state, last) = (seen.stream(kl.state), seen.stream(4));
                    let own = match kl.lens {
                        Lens::Standard => model.standard_lens(state),
                        Lens::Legacy => model.legacy_lens(state, last),
                    };
                    (own, model.standard_lens(last))
                })
                .collect();
            let values = |of: AtPosition<'_>| -> Vec<Vec<f64>> {
                let one = |(own, output): &(Array2<f32>, Array2<f32>)| {
                    (1..own.nrows()).map(|p| of(own, output, p)).collect()
                };
                rows.iter().map(one).collect()
            };
            let what = format!("{:?} lens at {}", kl.lens, kl.state);
            let entropies = values(&|own, _, p| divergence::entropy_bits(own.row(p)).unwrap());
            check(
                &what,
                (entropy.entropy_bits, entropy.entropy_bits_se),
                &entropies,
            );
            let means: Vec<f64> = entropies
                .iter()
                .map(|values| values.iter().sum::<f64>() / values.len() as f64)
                .collect();
            let mean = means.iter().sum::<f64>() / 5.0;
            let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 4.0;
            assert!(
                (entropy.entropy_bits_sd.unwrap() - variance.sqrt()).abs() < 2e-5,
                "{what}"
            );
            let forward =
                values(&|own, output, p| divergence::kl_nats(output.row(p), own.row(p)).unwrap());
            check(&what, (kl.kl_nats, kl.kl_nats_se), &forward);
            let reverse =
                values(&|own, output, p| divergence::kl_nats(own.row(p), output.row(p)).unwrap());
            check(&what, (kl.reverse_kl_nats, kl.reverse_kl_nats_se), &reverse);
            let agreement = values(&|own, output, p| {
                let [own, output] = [own, output].map(|z| divergence::argmax(z.row(p)).unwrap());
                f64::from(u8::from(own == output))
            });
            check(&what, (kl.top1_agreement, kl.top1_agreement_se), &agreement);
        }
        let at_output = &tables.of::<lens_kl::Record>()[4];
        assert_eq!((at_output.lens, at_output.state), (Lens::Standard, 4));
        assert!(at_output.kl_nats.abs() < 1e-9 && at_output.top1_agreement == 1.0);
    }
}

/// HSIC of two Gram matrices without diagonals, term by term (paper section E).
fn hsic(k: &Array2<f64>, l: &Array2<f64>) -> f64 {
    let n = k.nrows() as f64;
    let both = k.dot(l);
    let total = both.diag().sum() + k.sum() * l.sum() / ((n - 1.0) * (n - 2.0));
    (total - 2.0 * both.sum() / (n - 2.0)) / (n * (n - 3.0))
}

fn gram(states: ArrayView2<'_, f32>) -> Array2<f64> {
    let states = states.mapv(f64::from);
    let mut gram = states.dot(&states.t());
    gram.diag_mut().fill(0.0);
    gram
}

#[test]
fn similarity_is_that_of_the_formula() {
    let model = &models()[0];
    let (tables, seen) = (found(model, ALL, 2), Seen::all(model));
    let last = |layer: usize| {
        Array2::from_shape_fn((5, 32), |(row, column)| {
            seen[row].stream(layer + 1)[(seen[row].seq - 1, column)]
        })
    };
    // The sequence of three tokens has too few positions for a batch.
    let long = || seen.iter().filter(|seen| seen.seq > 4);
    let term = |estimator: Estimator, i: usize, j: usize| -> f64 {
        match estimator {
            Estimator::LastToken => hsic(&gram(last(i).view()), &gram(last(j).view())),
            Estimator::AllTokens => long()
                .map(|seen| {
                    let [k, l] = [i, j].map(|l| gram(seen.stream(l + 1).slice(s![1.., ..])));
                    hsic(&k, &l)
                })
                .sum(),
        }
    };
    assert_eq!(tables.of::<cka::Record>().len(), 2 * 4 * 4);
    for record in tables.of::<cka::Record>() {
        let (i, j) = (record.layer, record.other_layer);
        let term = |i, j| term(record.estimator, i, j);
        let expected = term(i, j) / (term(i, i) * term(j, j)).sqrt();
        assert!(
            (record.cka - expected).abs() < 1e-9,
            "{record:?}, not {expected}"
        );
        let counts = match record.estimator {
            Estimator::LastToken => (1, 5),
            Estimator::AllTokens => (4, 6),
        };
        assert_eq!((record.batches, record.samples), counts);
    }
}

/// The tables, as CSV.
fn bytes(tables: &Tables) -> Vec<u8> {
    let mut bytes = Vec::new();
    table::write(tables.of::<attention_locality::Record>(), &mut bytes).unwrap();
    table::write(tables.of::<lens_entropy::Record>(), &mut bytes).unwrap();
    table::write(tables.of::<lens_kl::Record>(), &mut bytes).unwrap();
    table::write(tables.of::<mlp_norm::Record>(), &mut bytes).unwrap();
    table::write(tables.of::<sublayer_ratio::Record>(), &mut bytes).unwrap();
    table::write(tables.of::<cka::Record>(), &mut bytes).unwrap();
    bytes
}

#[test]
fn threads_change_no_byte() {
    let of = |threads: usize| bytes(&found(&models()[1], ALL, threads));
    let one = of(1);
    for threads in [2, 5] {
        assert!(of(threads) == one, "{threads} threads");
    }
}

/// The only journal below a folder.
fn journal(folder: &Path) -> PathBuf {
    let mut journals = fs::read_dir(folder.join("plain.run")).unwrap();
    let journal = journals.next().unwrap().unwrap().path();
    assert!(journals.next().is_none(), "one journal");
    journal
}

#[test]
fn what_is_kept_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let model = &models()[1];
    let of = || bytes(&observe(folder.path(), model, &sequences(), ALL, 2).unwrap());
    let expected = of();
    let journal = journal(folder.path());
    let written = fs::read(&journal).unwrap();
    let ends = (0..written.len()).filter(|end| written[*end] == b'\n');
    let ends: Vec<usize> = ends.map(|end| end + 1).collect();
    assert_eq!(ends.len(), 1 + sequences().len());
    for &end in &ends {
        fs::write(&journal, &written[..end]).unwrap();
        assert!(of() == expected, "cut at byte {end}");
        let again = fs::read(&journal).unwrap();
        assert!(again.starts_with(&written[..end]) && again.len() == written.len());
    }
}

#[test]
fn sums_of_another_form_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = &models()[0];
    let observe = || observe(folder.path(), model, &sequences(), ALL, 1);
    observe().unwrap();
    let path = journal(folder.path());
    let first_line = fs::read_to_string(&path).unwrap();
    // The checksum and a space precede the JSON.
    let description = &first_line.lines().next().unwrap()[17..];
    let description: RunDescription<Described> = serde_json::from_str(description).unwrap();
    let none = json!({ "attention": [], "updates": [] });
    let few = json!({ "attention": [], "updates": [], "lenses": { "standard": [], "legacy": [] } });
    for sums in [none, few] {
        let mut journal = Journal::open(&path, &description, true, |_, _| true).unwrap();
        journal.record(2, vec![sums]).unwrap();
        drop(journal);
        let error = observe().unwrap_err().to_string();
        assert!(error.contains("line 2 is damaged"), "{error}");
    }
}

#[test]
fn experiments_ask_for_what_they_show() {
    let model = &models()[0];
    let lengths = |experiments: &[&str]| {
        let r = found(model, experiments, 1);
        [
            r.of::<attention_locality::Record>().len(),
            r.of::<sublayer_ratio::Record>().len(),
            r.of::<lens_kl::Record>().len(),
            r.of::<cka::Record>().len(),
        ]
    };
    assert_eq!(lengths(&["sublayer-ratio"]), [0, 4, 0, 0]);
    assert_eq!(lengths(&["attention-locality"]), [44, 0, 0, 0]);
    assert_eq!(lengths(&["lens-kl"]), [0, 0, 10, 0]);
    assert_eq!(lengths(&["cka"]), [0, 0, 0, 32]);
    assert_eq!(lengths(&["shift"]), [44, 0, 10, 0]);
    assert_eq!(lengths(&["robustness"]), [0, 0, 0, 0]);
}

#[test]
fn sequences_that_are_all_alike_have_no_similarity() {
    let model = &models()[0];
    let alike = vec![vec![1, 2, 3]; 4];
    let folder = tempfile::tempdir().unwrap();
    let tables = observe(folder.path(), model, &alike, ALL, 1).unwrap();
    assert_eq!(tables.of::<cka::Record>(), []);
    assert_eq!(tables.of::<mlp_norm::Record>().len(), 4);
}
