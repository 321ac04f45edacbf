//! Claims on results that make them hold, fail, and stay untested; shared by the tests of all experiments.

use super::claim::{Claim, Evidence, Row};
use super::finding::Verdict;
use super::models::{Facts, relative_depth, state_depth};
use super::sample::{Numbers, TEXT, Units};
use super::subject::Runs;
use super::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_metrics::Gaussian;
use layerwise_sweep::Runner;
use layerwise_transformer::Model;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

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

/// The number of [`models`].
pub(crate) const MODELS: usize = 9;

/// Blocks with their depths.
pub(crate) fn blocks(facts: &Facts) -> impl Iterator<Item = (usize, f64)> + use<> {
    let layers = facts.layers;
    (0..layers).map(move |layer| (layer, relative_depth(layer, layers)))
}

/// Residual streams with their depths.
pub(crate) fn states(facts: &Facts) -> impl Iterator<Item = (usize, f64)> + use<> {
    let layers = facts.layers;
    (0..=layers).map(move |state| (state, state_depth(state, layers)))
}

/// Units of a synthetic mean.
const UNITS: usize = 20;

/// A point of a curve: the mean of units that scatter around a value with this standard deviation.
pub(crate) fn units(
    tables: &mut Tables,
    facts: &Facts,
    curve: &str,
    index: usize,
    value: f64,
    deviation: f64,
) {
    let sums = (0..UNITS).map(|unit| {
        let place = (7 * unit + 3 * index) % UNITS;
        value + deviation * (place as f64 - 9.5) / 5.77
    });
    tables.push(Units {
        model: facts.name.clone(),
        curve: curve.to_owned(),
        sample: TEXT.to_owned(),
        index,
        sums: Numbers(sums.collect()),
        counts: Numbers(vec![1.0]),
    });
}

/// Changes the means of the curves for which `of` gives a value, from model, curve and index.
pub(crate) fn change(tables: &mut Tables, of: impl Fn(&str, &str, usize) -> Option<f64>) {
    for units in tables.of_mut::<Units>() {
        if let Some(value) = of(&units.model, &units.curve, units.index) {
            let sums = &mut units.sums.0;
            let mean = sums.iter().sum::<f64>() / sums.len() as f64;
            sums.iter_mut().for_each(|sum| *sum += value - mean);
        }
    }
}

/// Simulated runs: curves of noise around values.
pub(crate) struct Simulated {
    random: Gaussian,
    /// The independent units of each curve.
    pub(crate) units: usize,
}

impl Simulated {
    /// A number from 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.random.uniform()
    }

    /// A draw from the standard normal distribution.
    pub(crate) fn gaussian(&mut self) -> f64 {
        self.random.draw()
    }

    /// A draw from the Poisson distribution with this mean.
    pub(crate) fn count(&mut self, mean: f64) -> usize {
        let (mut count, mut waited) = (0, -self.uniform().ln());
        while waited < mean {
            count += 1;
            waited -= self.uniform().ln();
        }
        count
    }

    /// The mean of this many units that deviate from a value, and its standard error.
    pub(crate) fn mean(&mut self, value: f64, deviation: f64, units: usize) -> (f64, Option<f64>) {
        mean_of(&self.random.around(&vec![value; units], deviation))
    }

    /// A curve whose units deviate from its values: by a part shared over the whole curve, and by a part of each point's own.
    pub(crate) fn curve(
        &mut self,
        tables: &mut Tables,
        facts: &Facts,
        curve: &str,
        values: &[(usize, f64)],
        [shared, own]: [f64; 2],
    ) {
        let common = self.random.around(&vec![0.0; self.units], shared);
        for &(index, value) in values {
            let means: Vec<f64> = common.iter().map(|common| value + common).collect();
            tables.push(Units {
                model: facts.name.clone(),
                curve: curve.to_owned(),
                sample: TEXT.to_owned(),
                index,
                sums: Numbers(self.random.around(&means, own)),
                counts: Numbers(vec![1.0]),
            });
        }
    }
}

/// The mean of units, and its standard error.
pub(crate) fn mean_of(units: &[f64]) -> (f64, Option<f64>) {
    let count = units.len() as f64;
    let mean = units.iter().sum::<f64>() / count;
    let squares: f64 = units.iter().map(|unit| (unit - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    (mean, (units.len() > 1).then_some(error))
}

/// A model of eight blocks, like the embedded ones.
pub(crate) fn small() -> Facts {
    Facts {
        name: "gpt2".to_owned(),
        family: "gpt2".to_owned(),
        layers: 8,
        parameters: 3_000_000,
    }
}

/// Adds results of one model as in the paper: with them every claim holds, except D27, because both lenses agree.
pub(crate) type Synthetic = fn(&Facts, &mut Tables);

/// The results of a [`small`] model under each name.
pub(crate) fn named(names: &[&str], add: Synthetic) -> Tables {
    let mut tables = Tables::default();
    for name in names {
        let facts = Facts {
            name: (*name).to_owned(),
            ..small()
        };
        add(&facts, &mut tables);
    }
    tables
}

/// The synthetic results of some models.
pub(crate) fn tables(models: &[Facts], parts: &[Synthetic]) -> Tables {
    let mut tables = Tables::default();
    for facts in models {
        for add in parts {
            add(facts, &mut tables);
        }
    }
    tables
}

/// The label for the share of a whole claim.
const CLAIM: &str = "the claim of ";

/// A claim under test, with its synthetic results.
pub(crate) struct Judged {
    claim: &'static Claim,
    parts: &'static [Synthetic],
}

impl Judged {
    pub(crate) fn of(claims: &'static [Claim], id: &str, parts: &'static [Synthetic]) -> Self {
        let claim = claims.iter().find(|claim| claim.id == id);
        Self {
            claim: claim.unwrap_or_else(|| panic!("no claim {id}")),
            parts,
        }
    }

    /// The synthetic results of some models.
    pub(crate) fn tables(&self, models: &[Facts]) -> Tables {
        tables(models, self.parts)
    }

    /// The lines about the claim.
    pub(crate) fn rows(&self, tables: &Tables, models: &[Facts]) -> Vec<Row> {
        self.claim.judged(&Evidence { tables, models }).lines
    }

    /// How often the claim and each of its lines hold, and how often it fails, on simulated runs; `add` makes one run of a
    /// model.
    fn shares(
        &self,
        models: &[Facts],
        add: impl Fn(&mut Simulated, &Facts, &mut Tables),
    ) -> BTreeMap<String, [f64; 2]> {
        const RUNS: u64 = 200;
        let mut shares: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for run in 0..RUNS {
            let mut simulated = Simulated {
                random: Gaussian::seeded(run),
                units: 78,
            };
            let mut tables = Tables::default();
            for model in models {
                add(&mut simulated, model, &mut tables);
            }
            let tables = &tables;
            let judged = self.claim.judged(&Evidence { tables, models });
            let lines = judged.lines.iter();
            let lines = lines.map(|row| (format!("{}: {}", row.model, row.statement), row.verdict));
            let claims = judged.claims.iter();
            let claims = claims.map(|own| (format!("{CLAIM}{}", own.version), own.verdict));
            for (line, verdict) in lines.chain(claims) {
                let [holds, fails] = shares.entry(line).or_default();
                *holds += f64::from(verdict == Verdict::Holds) / RUNS as f64;
                *fails += f64::from(verdict == Verdict::Fails) / RUNS as f64;
            }
        }
        for (line, [holds, fails]) in &shares {
            println!(
                "{}: holds in {holds:.3}, fails in {fails:.3}: {line}",
                self.claim.id
            );
        }
        shares
    }

    /// Checks that neither the claim nor any of its lines holds in more than 5 % of runs in which there is nothing to find.
    #[track_caller]
    pub(crate) fn check_null(
        &self,
        models: &[Facts],
        add: impl Fn(&mut Simulated, &Facts, &mut Tables),
    ) {
        for (line, [holds, _]) in self.shares(models, add) {
            assert!(holds <= 0.05, "holds in {holds} of runs: {line}");
        }
    }

    /// Checks that every line holds in at least 80 % of runs that have the effect. If the default run is too small for that,
    /// checks
    /// that the line fails in at most 5 % of them.
    #[track_caller]
    pub(crate) fn check_effect(
        &self,
        models: &[Facts],
        is_large_enough: bool,
        add: impl Fn(&mut Simulated, &Facts, &mut Tables),
    ) {
        let shares = self.shares(models, add).into_iter();
        for (line, [holds, fails]) in shares.filter(|(line, _)| !line.starts_with(CLAIM)) {
            assert!(fails <= 0.05, "fails in {fails} of runs: {line}");
            assert!(
                holds >= 0.8 || !is_large_enough,
                "holds in {holds} of runs: {line}"
            );
        }
    }

    /// Checks how many lines hold, fail, are undecided and are not tested after a change of the synthetic results.
    #[track_caller]
    pub(crate) fn check(&self, change: impl Fn(&mut Tables), expected: [usize; 4]) {
        let models = models();
        let mut tables = self.tables(&models);
        change(&mut tables);
        let rows = self.rows(&tables, &models);
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let found = Verdict::ALL.map(count);
        let told: Vec<String> = rows
            .iter()
            .map(|r| {
                format!(
                    "{} {:?} {:?} {}: {}",
                    r.model, r.verdict, r.measured, r.statement, r.reason
                )
            })
            .collect();
        assert_eq!(found, expected, "{}\n{}", self.claim.id, told.join("\n"));
        for row in &rows {
            assert_eq!(row.claim, self.claim.id);
            assert!(row.verdict != Verdict::NotTested || row.measured.is_none());
            if row.measured.is_none() {
                assert!(!row.reason.is_empty(), "{row:?}");
            }
        }
    }

    /// Checks the claim on the synthetic results, on results that contradict it, and on none.
    #[track_caller]
    pub(crate) fn check_all(
        &self,
        holding: usize,
        contradict: impl Fn(&mut Tables),
        contradicted: [usize; 4],
    ) {
        self.check(|_| {}, [holding, 0, 0, 0]);
        self.check(contradict, contradicted);
        let rows = self.rows(&Tables::default(), &models());
        assert!(
            !rows.is_empty(),
            "{} has no line without results",
            self.claim.id
        );
        for row in rows {
            assert_eq!(row.verdict, Verdict::NotTested, "{row:?}");
            assert!(row.reason.contains("needs"), "{row:?}");
            assert_eq!(row.measured, None, "{row:?}");
        }
    }
}

/// Runs of a model on this many threads.
pub(crate) fn runs(model: &Model, threads: usize) -> Runs<'_> {
    let threads = NonZeroUsize::new(threads).expect("a run has a thread");
    Runs {
        model: model.into(),
        runner: Runner::new().threads(threads),
    }
}

/// The folder of fixtures: the repository's, or the one that `LAYERWISE_FIXTURES` names if this source is elsewhere.
pub(crate) fn fixtures() -> PathBuf {
    let of_repository = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures").into();
    env::var_os("LAYERWISE_FIXTURES").map_or_else(of_repository, PathBuf::from)
}

/// The tokenizer of the first of the small trained models.
pub(crate) fn tokenizer() -> Tokenizer {
    let folders = fs::read_dir(fixtures().join("models")).expect("there are models");
    let files = folders.map(|folder| folder.expect("a folder").path().join("tokenizer.json"));
    let first = files.filter(|file| file.is_file()).min();
    Tokenizer::open(&first.expect("a model has a tokenizer"), 2048).expect("it can be read")
}

/// The documents of the sample text.
pub(crate) fn documents() -> Vec<String> {
    let text = fs::read_to_string(fixtures().join("text/sample.jsonl")).expect("there is a text");
    let document = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        line["text"]
            .as_str()
            .expect("a document is text")
            .to_owned()
    };
    text.lines().map(document).collect()
}
