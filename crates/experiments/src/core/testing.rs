//! Claims on results that make them hold, fail, and be not tested; shared by the tests of all experiments.

use super::claim::{Claim, Evidence, Row};
use super::finding::Verdict;
use super::models::{Facts, relative_depth, state_depth};
use super::subject::Runs;
use super::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_sweep::Runner;
use layerwise_transformer::Model;
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

/// How many [`models`] there are.
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

/// Adds results of one model as the paper has them: with them every claim holds, but for D27, because both lenses agree.
pub(crate) type Synthetic = fn(&Facts, &mut Tables);

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

/// A claim that is put to the test, with the synthetic results that it is about.
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
        self.claim.rows(&Evidence { tables, models })
    }

    /// Checks how many lines hold, fail and are not tested, once the synthetic results are changed.
    #[track_caller]
    pub(crate) fn check(&self, change: impl Fn(&mut Tables), expected: [usize; 3]) {
        let models = models();
        let mut tables = self.tables(&models);
        change(&mut tables);
        let rows = self.rows(&tables, &models);
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let found = [Verdict::Holds, Verdict::Fails, Verdict::NotTested].map(count);
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
        contradicted: [usize; 3],
    ) {
        self.check(|_| {}, [holding, 0, 0]);
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

/// Runs of a model on so many threads.
pub(crate) fn runs(model: &Model, threads: usize) -> Runs<'_> {
    let threads = NonZeroUsize::new(threads).expect("a run has a thread");
    Runs {
        model: model.into(),
        runner: Runner::new().threads(threads),
    }
}

/// The folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"))
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
