//! The file format of a trained classifier.

use crate::error::ExitError;
use crate::reading::Vocab;
use crate::trained::{Decision, FEATURES, Trained};
use layerwise_files::{Links, open};
use layerwise_metrics::{ChainField, Kernel, Standardizer, SupportVectors};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The largest accepted file of a classifier, in bytes.
pub const MOST_BYTES: u64 = 4 << 20;
/// The format that a file declares.
const FORMAT: &str = "layerwise-early-exit-1";
/// The features of a classifier, in this order.
const FEATURE_NAMES: [&str; FEATURES] = ["gap", "top"];
/// The smallest accepted deviation, because features are divided by it.
const LEAST_DEVIATION: f64 = 1e-50;
/// Characters of a SHA-256.
const HASH: usize = 64;

/// A trained classifier, its training data, and the model that it is for.
///
/// ```
/// use layerwise_exits::{Classifier, Reading, Rule, Trained, Vocab};
/// use ndarray::aview1;
///
/// let reading = |logits: [f32; 2]| Reading::of(aview1(&logits), &[], &[], 1.0).expect("finite logits");
/// let run = [reading([1.0, 0.0]), reading([0.0, 4.0])];
/// let is_final = |_: usize, reading: &Reading| reading.full.first == 1;
/// let trained = Trained::new(Rule::Svm, &[&run[..]; 20], Vocab::Full, is_final, 0, &|| true)?;
/// let hash = "0".repeat(64); // of the model's files
/// let classifier = Classifier::new(trained, Vocab::Full, 0.0, 2, hash.clone()).with(|it| it.instances = 20);
///
/// let file = tempfile::NamedTempFile::new()?;
/// std::fs::write(file.path(), classifier.text()?)?;
/// let read = Classifier::read(file.path())?;
/// read.check(file.path(), 2, &hash, "")?; // a model of 2 blocks, without a tokenizer
/// assert_eq!((read.threshold, read.instances), (0.0, 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classifier {
    /// The classifier.
    pub trained: Trained,
    /// A run stops at the first score above this.
    pub threshold: f64,
    /// The tokens over which the unembedding is read.
    pub vocab: Vocab,
    /// The number of blocks of the model.
    pub blocks: usize,
    /// SHA-256 of the hashes of the model's files.
    pub model: String,
    /// SHA-256 of the tokenizer; empty if there was none.
    pub tokenizer: String,
    /// The tasks of the training data.
    pub tasks: Vec<String>,
    /// The number of training instances.
    pub instances: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    features: Vec<String>,
    means: Vec<f64>,
    deviations: Vec<f64>,
    decision: WrittenDecision,
    threshold: f64,
    vocab: String,
    blocks: usize,
    model: String,
    tokenizer: String,
    tasks: Vec<String>,
    instances: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum WrittenDecision {
    /// w·x + b.
    Svm { weights: Vec<f64>, intercept: f64 },
    /// Σ α·exp(−γ‖x − v‖²) + b; a row is v, then α.
    SvmRbf {
        gamma: f64,
        rows: Vec<Vec<f64>>,
        intercept: f64,
    },
    /// u and b of both labels, then the four transitions.
    Crf { parameters: Vec<f64> },
}

impl Classifier {
    /// A classifier for a model of `blocks` blocks; `model` is the SHA-256 of the hashes of its files.
    pub fn new(
        trained: Trained,
        vocab: Vocab,
        threshold: f64,
        blocks: usize,
        model: impl Into<String>,
    ) -> Self {
        Self {
            trained,
            threshold,
            vocab,
            blocks,
            model: model.into(),
            tokenizer: String::new(),
            tasks: Vec::new(),
            instances: 0,
        }
    }

    /// Applies changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The file's text, as readable JSON.
    ///
    /// # Errors
    /// A field is one that [`Classifier::read`] would refuse.
    pub fn text(&self) -> Result<String, ExitError> {
        let decision = match &self.trained.decision {
            Decision::Chain(field) => WrittenDecision::Crf {
                parameters: field.parameters().to_vec(),
            },
            Decision::Machine(machine) => match machine.kernel() {
                Kernel::Rbf { gamma } => WrittenDecision::SvmRbf {
                    gamma,
                    rows: machine
                        .vectors()
                        .iter()
                        .map(|(vector, weight)| [vector.as_slice(), &[*weight]].concat())
                        .collect(),
                    intercept: machine.intercept,
                },
                _ => WrittenDecision::Svm {
                    weights: machine.weights().unwrap_or_default(),
                    intercept: machine.intercept,
                },
            },
        };
        let written = Written {
            format: FORMAT.to_owned(),
            features: FEATURE_NAMES.map(str::to_owned).to_vec(),
            means: self.trained.scale.mean().to_vec(),
            deviations: self.trained.scale.scale().to_vec(),
            decision,
            threshold: self.threshold,
            vocab: self.vocab.to_string(),
            blocks: self.blocks,
            model: self.model.clone(),
            tokenizer: self.tokenizer.clone(),
            tasks: self.tasks.clone(),
            instances: self.instances,
        };
        let mut text =
            serde_json::to_string_pretty(&written).expect("numbers and strings are JSON");
        text.push('\n');
        written
            .checked()
            .map_err(|(field, expected, found)| ExitError::Unwritable {
                field,
                expected,
                found: shown(&found),
            })?;
        Ok(text)
    }

    /// Reads an untrusted file.
    ///
    /// # Errors
    /// The file is missing, larger than [`MOST_BYTES`] or not JSON of this form, or a field has an impossible value.
    pub fn read(path: &Path) -> Result<Self, ExitError> {
        let bytes = open(path, Links::Follow)?.read_all(MOST_BYTES)?;
        let form = |error: serde_json::Error| ExitError::Form {
            path: path.to_owned(),
            found: error.to_string().chars().take(400).collect(),
        };
        let written: Written = serde_json::from_slice(&bytes).map_err(form)?;
        written
            .checked()
            .map_err(|(field, expected, found)| ExitError::Field {
                path: path.to_owned(),
                field,
                expected,
                found: shown(&found),
            })
    }

    /// Checks that the classifier is for a model with this number of blocks and these hashes.
    ///
    /// # Errors
    /// It is for another model or tokenizer.
    pub fn check(
        &self,
        path: &Path,
        blocks: usize,
        model: &str,
        tokenizer: &str,
    ) -> Result<(), ExitError> {
        let own = self.blocks.to_string();
        let pairs = [
            ("blocks", blocks.to_string(), own.as_str()),
            ("model", model.to_owned(), self.model.as_str()),
            ("tokenizer", tokenizer.to_owned(), self.tokenizer.as_str()),
        ];
        match pairs
            .into_iter()
            .find(|(_, expected, found)| expected != found)
        {
            None => Ok(()),
            Some((field, expected, found)) => Err(ExitError::Field {
                path: path.to_owned(),
                field,
                expected: format!("{expected:?}, as in this model"),
                found: format!("{found:?}"),
            }),
        }
    }
}

/// A field, its accepted values, and the value found.
type Fault = (&'static str, String, String);

/// The value found, shortened for a message.
fn shown(found: &str) -> String {
    found.chars().take(80).collect()
}

impl Written {
    fn checked(self) -> Result<Classifier, Fault> {
        let fault = |field, expected: &str, found: String| (field, expected.to_owned(), found);
        if self.format != FORMAT {
            return Err(fault("format", FORMAT, format!("{:?}", self.format)));
        }
        if self.features != FEATURE_NAMES {
            let found = format!("{:?}", self.features);
            return Err(fault("features", r#"["gap", "top"]"#, found));
        }
        for (field, values) in [("means", &self.means), ("deviations", &self.deviations)] {
            numbers(field, values, FEATURES)?;
        }
        let found = format!("{:?}", self.deviations);
        if self
            .deviations
            .iter()
            .any(|deviation| *deviation < LEAST_DEVIATION)
        {
            let expected = format!("positive numbers of at least {LEAST_DEVIATION:e}");
            return Err(("deviations", expected, found));
        }
        let scale = Standardizer::new(self.means, self.deviations)
            .map_err(|_| fault("deviations", "positive numbers", found))?;
        let decision =
            match self.decision {
                WrittenDecision::Svm { weights, intercept } => {
                    numbers("decision.svm.weights", &weights, FEATURES)?;
                    numbers("decision.svm.intercept", &[intercept], 1)?;
                    let vectors = vec![(weights, 1.0)];
                    Decision::Machine(SupportVectors::new(Kernel::Linear, vectors, intercept))
                }
                WrittenDecision::SvmRbf {
                    gamma,
                    rows,
                    intercept,
                } => {
                    numbers("decision.svm-rbf.intercept", &[intercept], 1)?;
                    if !(gamma.is_finite() && gamma > 0.0) {
                        let expected = "a positive number";
                        return Err(fault("decision.svm-rbf.gamma", expected, gamma.to_string()));
                    }
                    let mut vectors = Vec::with_capacity(rows.len());
                    for mut row in rows {
                        numbers("decision.svm-rbf.rows", &row, FEATURES + 1)?;
                        let weight = row.pop().unwrap_or(0.0);
                        vectors.push((row, weight));
                    }
                    let kernel = Kernel::Rbf { gamma };
                    Decision::Machine(SupportVectors::new(kernel, vectors, intercept))
                }
                WrittenDecision::Crf { parameters } => {
                    numbers(
                        "decision.crf.parameters",
                        &parameters,
                        2 * (FEATURES + 1) + 4,
                    )?;
                    let found = parameters.len().to_string();
                    let field = ChainField::new(FEATURES, parameters);
                    Decision::Chain(field.map_err(|error| {
                        fault("decision.crf.parameters", &error.to_string(), found)
                    })?)
                }
            };
        numbers("threshold", &[self.threshold], 1)?;
        let vocab = self
            .vocab
            .parse()
            .map_err(|_| fault("vocab", "full, options or top:R@K", self.vocab.clone()))?;
        if self.blocks == 0 {
            return Err(fault("blocks", "a number from 1", "0".to_owned()));
        }
        let is_hash =
            |text: &str| text.len() == HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (field, hash) in [("model", &self.model), ("tokenizer", &self.tokenizer)] {
            let is_absent = hash.is_empty() && field == "tokenizer";
            if !is_hash(hash) && !is_absent {
                return Err(fault(field, "64 hexadecimal digits", format!("{hash:?}")));
            }
        }
        let trained = Trained { scale, decision };
        Ok(Classifier {
            trained,
            threshold: self.threshold,
            vocab,
            blocks: self.blocks,
            model: self.model,
            tokenizer: self.tokenizer,
            tasks: self.tasks,
            instances: self.instances,
        })
    }
}

/// Checks the number of numbers, and that none is too large to be squared.
fn numbers(field: &'static str, values: &[f64], expected: usize) -> Result<(), Fault> {
    const LARGEST: f64 = 1e50;
    if values.len() != expected {
        let found = values.len().to_string();
        return Err((field, format!("{expected} numbers"), found));
    }
    match values
        .iter()
        .find(|value| value.is_nan() || value.abs() > LARGEST)
    {
        None => Ok(()),
        Some(value) => Err((
            field,
            format!("numbers of at most {LARGEST:e}"),
            format!("{value:e}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;
    use crate::testing::trained;

    fn classifier(rule: Rule) -> Classifier {
        Classifier::new(trained(rule), Vocab::Full, 0.25, 6, "a1".repeat(32)).with(|it| {
            it.tokenizer = "b2".repeat(32);
            it.tasks = vec!["sst2".to_owned()];
            it.instances = 24;
        })
    }

    fn read(text: &str) -> Result<Classifier, ExitError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit.json");
        std::fs::write(&path, text).unwrap();
        Classifier::read(&path)
    }

    #[test]
    fn a_file_gives_the_classifier_back() {
        for rule in [Rule::Svm, Rule::SvmRbf, Rule::Crf] {
            let classifier = classifier(rule);
            let found = read(&classifier.text().unwrap()).unwrap();
            assert_eq!(found, classifier, "{rule}");
            let path = Path::new("exit.json");
            let (model, tokenizer) = (classifier.model.as_str(), classifier.tokenizer.as_str());
            found.check(path, 6, model, tokenizer).unwrap();
            for (blocks, model, tokenizer, field) in [
                (7, model, tokenizer, "blocks"),
                (6, tokenizer, tokenizer, "model"),
                (6, model, "", "tokenizer"),
            ] {
                let error = found.check(path, blocks, model, tokenizer).unwrap_err();
                let says = format!("exit.json: {field}: expected");
                assert!(error.to_string().starts_with(&says), "{error}");
            }
        }
    }

    /// A classifier that could not be read back is not written.
    #[test]
    fn classifiers_that_cannot_be_are_refused() {
        let check = |change: fn(&mut Classifier), says: &str| {
            let error = classifier(Rule::Svm).with(change).text().unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        };
        check(
            |it| it.threshold = f64::INFINITY,
            "threshold of the classifier: expected numbers of at most",
        );
        check(|it| it.threshold = f64::NAN, "threshold of the classifier");
        check(|it| it.blocks = 0, "blocks of the classifier: expected a");
        check(
            |it| it.model.clear(),
            "model of the classifier: expected 64",
        );
    }

    #[test]
    fn files_that_cannot_be_are_refused() {
        let of = |rule| classifier(rule).text().unwrap();
        let check = |text: String, says: &str| {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(says) && error.len() < 700, "{error}");
        };
        let svm = of(Rule::Svm);
        let change = |from: &str, to: &str| {
            assert!(svm.contains(from), "{svm}");
            svm.replacen(from, to, 1)
        };
        check(String::new(), "expected an early-exit classifier in JSON");
        check("[]".to_owned(), "expected an early-exit classifier in JSON");
        check(
            change("exit-1", "exit-2"),
            "format: expected layerwise-early-exit-1",
        );
        check(
            change("\"gap\"", "\"gab\""),
            "features: expected [\"gap\", \"top\"]",
        );
        check(change("\"threshold\": 0.25", "\"threshold\": null"), "JSON");
        check(
            change("\"threshold\": 0.25", "\"threshold\": 1e200"),
            "threshold: expected numbers of at most",
        );
        check(
            change("\"threshold\": 0.25", "\"threshold\": 1e999"),
            "JSON",
        );
        check(
            change("\"threshold\"", "\"extra\": 1, \"threshold\""),
            "unknown field `extra`",
        );
        check(
            change("\"vocab\": \"full\"", "\"vocab\": \"top:0@0\""),
            "vocab: expected full, options or top:R@K",
        );
        check(
            change("\"blocks\": 6", "\"blocks\": 0"),
            "blocks: expected a number from 1",
        );
        check(
            change("a1a1", "x1a1"),
            "model: expected 64 hexadecimal digits",
        );
        check(
            change("\"means\": [", "\"means\": [1.0,"),
            "means: expected 2 numbers, found 3",
        );
        check(
            change("\"deviations\": [", "\"deviations\": [0.0,"),
            "deviations: expected 2 numbers",
        );
        check(change("\"svm\"", "\"forest\""), "unknown variant `forest`");
        let rbf = of(Rule::SvmRbf);
        check(
            rbf.replacen("\"gamma\": 0.5", "\"gamma\": -0.5", 1),
            "gamma: expected a positive number, found -0.5",
        );
        check(
            rbf.replacen("\"rows\": [", "\"rows\": [[1.0],", 1),
            "rows: expected 3 numbers, found 1",
        );
        let crf = of(Rule::Crf);
        check(
            crf.replacen("\"parameters\": [", "\"parameters\": [1.0,", 1),
            "parameters: expected 10 numbers",
        );
    }
}
