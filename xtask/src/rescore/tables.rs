//! What `rescore` writes: a row for each system, the gate's rows, and a transcript of each system.

use super::Set;
use super::arguments::Arguments;
use super::comparing::rate;
use crate::output;
use anyhow::Context;
use layerwise::transcripts::{
    Comparison, CountRule, ErrorCounts, Lattice, Method, TAUS, Tuned, Violations, Vocabulary,
    WordId, auc, compare, violations,
};
use serde_json::{Value, json};

/// The columns of `asr-correction.csv`; rates and shares are in per cent, and changes in points of them.
const COLUMNS: [&str; 30] = [
    "model",
    "set",
    "normaliser",
    "mode",
    "count_rule",
    "alpha",
    "beta",
    "theta",
    "tau",
    "utterances",
    "reference_words",
    "sent",
    "sent_share",
    "substitutions",
    "deletions",
    "insertions",
    "wer",
    "wer_low",
    "wer_high",
    "wer_change",
    "relative_change",
    "p_improvement",
    "mapsswe_z",
    "list_oracle",
    "lattice_oracle",
    "violations_words",
    "violations_count",
    "violations_form",
    "lm_tokens",
    "seconds",
];

/// The columns of `asr-gate.csv`.
const GATE_COLUMNS: [&str; 9] = [
    "model",
    "set",
    "score",
    "auc",
    "tau",
    "sent_share",
    "wer_sent",
    "wer_kept",
    "errors_caught",
];

/// One way of correcting the lists, and what came out.
pub(super) struct System<'a> {
    /// The mode's name.
    pub(super) mode: &'static str,
    /// How the outputs were found, where it was here.
    pub(super) method: Option<&'a Method>,
    /// The settings of each utterance.
    pub(super) tuned: Option<&'a Tuned>,
    /// The rules that outputs broke before they were repaired; else the outputs are checked.
    pub(super) violations: Option<&'a [Violations]>,
    /// The words of each utterance, and whether they were corrected.
    pub(super) outputs: &'a [(&'a [WordId], bool)],
    /// Tokens that the language model scored.
    pub(super) tokens: u64,
    /// How long it took.
    pub(super) seconds: Option<f64>,
}

/// Everything that is written.
pub(super) struct Tables<'a> {
    arguments: &'a Arguments,
    model: &'a str,
    set_name: String,
    set: &'a Set,
    vocabulary: &'a Vocabulary,
    /// Errors of the best path of each list's lattice.
    lattice_oracle: Option<usize>,
    list_oracle: Option<usize>,
    rows: csv::Writer<Vec<u8>>,
    summary: String,
    /// Names and contents of files.
    files: Vec<(String, String)>,
    /// For each utterance what each system made of it.
    decisions: Vec<serde_json::Map<String, Value>>,
}

impl<'a> Tables<'a> {
    /// Tables without rows.
    ///
    /// # Errors
    /// A lattice of too many slots.
    pub(super) fn new(
        arguments: &'a Arguments,
        model: &'a str,
        set: &'a Set,
        vocabulary: &'a Vocabulary,
    ) -> anyhow::Result<Self> {
        let count = arguments.count.rule();
        let mut lattice_oracle = None;
        for list in &set.distinct {
            if let Some(reference) = &list.reference {
                let weights = vec![1.0; list.hypotheses.len()];
                let lattice = Lattice::rover(&list.hypotheses, &weights)?.under(count);
                *lattice_oracle.get_or_insert(0) += lattice.nearest(reference).1;
            }
        }
        let mut rows = csv::Writer::from_writer(Vec::new());
        rows.write_record(COLUMNS)?;
        let name = arguments.file.file_stem().unwrap_or_default();
        let mut tables = Self {
            arguments,
            model,
            set_name: name.to_string_lossy().into_owned(),
            set,
            vocabulary,
            lattice_oracle,
            list_oracle: set
                .distinct
                .iter()
                .filter_map(|list| list.oracle_errors())
                .reduce(|all, one| all + one),
            rows,
            summary: String::new(),
            files: Vec::new(),
            decisions: vec![serde_json::Map::new(); set.distinct.len()],
        };
        if tables.list_oracle.is_none() {
            tables.summary = "no references: transcripts alone\n".to_owned();
        } else {
            tables.gate()?;
        }
        Ok(tables)
    }

    /// Adds a system.
    ///
    /// # Errors
    /// The comparison with the best hypotheses or the CSV writer fails.
    pub(super) fn push(&mut self, system: &System<'_>) -> anyhow::Result<()> {
        let gated = system
            .tuned
            .is_some_and(|tuned| tuned.taus.iter().any(Option::is_some));
        let count = match system.mode {
            "lattice" | "vote" | "external" => self.arguments.count.rule(),
            _ => CountRule::Free,
        };
        let mut name = system.mode.to_owned();
        if count == CountRule::Keep {
            name += "-keep";
        }
        if gated {
            name += "-gated";
        }
        self.keep_outputs(&name, system);
        let pairs = self.set.distinct.iter().zip(system.outputs);
        let utterances: Vec<[&[WordId]; 3]> = pairs
            .filter_map(|(list, (words, _))| {
                let reference = list.reference.as_deref()?;
                Some([reference, list.hypotheses[0].as_slice(), words])
            })
            .collect();
        if utterances.is_empty() {
            return Ok(());
        }
        let (replicates, seed) = (self.arguments.replicates as usize, self.arguments.seed);
        let found = compare(&utterances, replicates, seed)
            .with_context(|| self.arguments.file.display().to_string())?;
        self.summary += &format!("{name:>20}: {}\n", told(&found));
        let row = self.row(system, count, gated, &found);
        self.rows.write_record(&row)?;
        Ok(())
    }

    fn row(
        &self,
        system: &System<'_>,
        count: CountRule,
        gated: bool,
        found: &Comparison,
    ) -> [String; 30] {
        let points = system.method.map(|method| method.grid.points());
        let settings = |value: &dyn Fn(usize) -> Option<f64>| -> String {
            let mut values: Vec<f64> = Vec::new();
            for at in 0..system.outputs.len() {
                let value = value(at);
                values.extend(value.filter(|value| !values.contains(value)));
            }
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            values.join(";")
        };
        let is_lattice = system.mode == "lattice";
        let asks = is_lattice || system.mode == "select";
        let point = |at: usize| {
            let place = *system.tuned?.points.get(at)?;
            points.as_ref()?.get(place)
        };
        let alpha = settings(&|at| point(at).filter(|_| asks).map(|point| point.alpha));
        let beta = settings(&|at| point(at).filter(|_| is_lattice).map(|point| point.beta));
        let tau = settings(&|at| system.tuned.and_then(|tuned| tuned.taus[at]));
        let uses_theta = gated || !matches!(system.mode, "best" | "select" | "external");
        let theta = system.method.filter(|_| uses_theta);
        let broken = self.violations(system, count);
        let broken = |rule: fn(&Violations) -> bool| {
            broken
                .iter()
                .filter(|found| rule(found))
                .count()
                .to_string()
        };
        let sent = system
            .outputs
            .iter()
            .filter(|(_, is_sent)| *is_sent)
            .count();
        let (first, second) = (found.first, found.second);
        let percent =
            |rate: Option<f64>| rate.map_or(String::new(), |rate| (100.0 * rate).to_string());
        let words = second.reference_words as usize;
        let oracle =
            |errors: Option<usize>| percent(errors.map(|errors| errors as f64 / words as f64));
        let change = second.errors() as f64 - first.errors() as f64;
        let is_best = system.mode == "best";
        let compared = |value: f64| {
            if is_best {
                String::new()
            } else {
                value.to_string()
            }
        };
        let z = found
            .matched_pairs
            .filter(|_| !is_best)
            .map(|test| test.z.to_string());
        [
            self.model.to_owned(),
            self.set_name.clone(),
            self.normaliser().to_owned(),
            system.mode.to_owned(),
            count.name().to_owned(),
            alpha,
            beta,
            theta.map_or(String::new(), |method| method.gate.theta.to_string()),
            tau,
            system.outputs.len().to_string(),
            words.to_string(),
            sent.to_string(),
            (100.0 * sent as f64 / system.outputs.len() as f64).to_string(),
            second.substitutions.to_string(),
            second.deletions.to_string(),
            second.insertions.to_string(),
            percent(second.rate()),
            (100.0 * found.bootstrap.second.low).to_string(),
            (100.0 * found.bootstrap.second.high).to_string(),
            compared(100.0 * change / words as f64),
            match first.errors() {
                0 => String::new(),
                errors => compared(100.0 * change / errors as f64),
            },
            compared(found.bootstrap.improvement),
            z.unwrap_or_default(),
            oracle(self.list_oracle),
            oracle(self.lattice_oracle),
            broken(|found| found.words),
            broken(|found| found.count),
            broken(|found| found.form),
            system.tokens.to_string(),
            system
                .seconds
                .map_or(String::new(), |seconds| seconds.to_string()),
        ]
    }

    fn violations(&self, system: &System<'_>, count: CountRule) -> Vec<Violations> {
        if let Some(violations) = system.violations {
            return violations.to_vec();
        }
        let pairs = self.set.distinct.iter().zip(system.outputs);
        pairs
            .map(|(list, (words, _))| violations(list, count, &self.vocabulary.text(words), words))
            .collect()
    }

    /// Keeps the transcript of a system, and what it made of each utterance.
    fn keep_outputs(&mut self, name: &str, system: &System<'_>) {
        let mut transcript = String::new();
        let outputs = self
            .set
            .lists
            .utterances
            .iter()
            .zip(system.outputs)
            .enumerate();
        for (at, (utterance, (words, is_sent))) in outputs {
            let text = self.vocabulary.text(words);
            transcript += &format!("{} {text}\n", utterance.id);
            let mut decision = json!({"sent": is_sent, "output": text});
            if let Some(errors) = self.set.distinct[at].errors(words) {
                decision["errors"] = errors.errors().into();
            }
            self.decisions[at].insert(name.to_owned(), decision);
        }
        self.files.push((format!("{name}.txt"), transcript));
    }

    fn normaliser(&self) -> &'static str {
        self.arguments.normaliser.name()
    }

    /// Adds the gate's table: how well what it looks at tells wrong hypotheses from right ones.
    fn gate(&mut self) -> anyhow::Result<()> {
        let gate = self.arguments.gate(self.set.lists.scale)?;
        let mut judged: Vec<([f64; 4], ErrorCounts)> = Vec::new();
        for (list, language) in self.set.distinct.iter().zip(&self.set.language) {
            let scores = gate.scores(list, self.set.lists.scale, language);
            let judgement = gate.judge(list, &scores);
            if let Some(errors) = list.errors(&list.hypotheses[0]) {
                let features = [
                    -judgement.confidence,
                    -judgement.gap,
                    judgement.distinct as f64,
                    judgement.mean_distance,
                ];
                judged.push((features, errors));
            }
        }
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(GATE_COLUMNS)?;
        let names = ["posterior", "gap", "hypotheses", "distance"];
        for (feature, name) in names.into_iter().enumerate() {
            let cases: Vec<(f64, bool)> = judged
                .iter()
                .map(|(features, errors)| (features[feature], errors.errors() > 0))
                .collect();
            let area = auc(&cases).map_or(String::new(), |area| area.to_string());
            let mut order: Vec<_> = judged.iter().collect();
            order.sort_by(|a, b| b.0[feature].total_cmp(&a.0[feature]));
            let mut push = |tau: String, sent: usize| {
                let (sent, kept) = order.split_at(sent);
                let total = |part: &[&([f64; 4], ErrorCounts)]| -> ErrorCounts {
                    part.iter().map(|(_, errors)| *errors).sum()
                };
                let all = total(&order);
                let wer = |counts: ErrorCounts| {
                    counts
                        .rate()
                        .map_or(String::new(), |rate| (100.0 * rate).to_string())
                };
                let caught = total(sent).errors() as f64 / (all.errors() as f64).max(1.0);
                table.write_record([
                    self.model,
                    &self.set_name,
                    name,
                    &area,
                    &tau,
                    &(100.0 * sent.len() as f64 / order.len() as f64).to_string(),
                    &wer(total(sent)),
                    &wer(total(kept)),
                    &(100.0 * caught).to_string(),
                ])
            };
            push(String::new(), judged.len() / 2)?;
            if feature == 0 {
                for tau in TAUS {
                    let sent = judged.iter().filter(|(features, _)| -features[0] <= *tau);
                    push(tau.to_string(), sent.count())?;
                }
            }
        }
        let table = String::from_utf8(table.into_inner()?)?;
        self.files.push(("asr-gate.csv".to_owned(), table));
        Ok(())
    }

    /// Writes the files, where a folder was named.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(super) fn write(&mut self) -> anyhow::Result<()> {
        let Some(folder) = &self.arguments.out else {
            return Ok(());
        };
        output::make_folder(folder)?;
        for (name, text) in &self.files {
            output::write(&folder.join(name), text.as_bytes())?;
        }
        if self.list_oracle.is_some() {
            self.rows.flush()?;
            output::write(&folder.join("asr-correction.csv"), self.rows.get_ref())?;
        }
        let gate = self.arguments.gate(self.set.lists.scale)?;
        let (mut utterances, mut lattices) = (String::new(), String::new());
        let lists = self
            .set
            .distinct
            .iter()
            .zip(&self.set.language)
            .zip(&self.decisions);
        for (((list, language), decisions), utterance) in lists.zip(&self.set.lists.utterances) {
            let scores = gate.scores(list, self.set.lists.scale, language);
            let judgement = gate.judge(list, &scores);
            let line = json!({
                "id": utterance.id,
                "posteriors": judgement.posteriors,
                "sent": judgement.is_sent,
                "errors_before": list.errors(&list.hypotheses[0]).map(|errors| errors.errors()),
                "systems": decisions,
            });
            utterances += &format!("{line}\n");
            if self.arguments.lattices {
                let lattice = Lattice::rover(&list.hypotheses, &judgement.posteriors)?;
                let slots = lattice.slots().iter().map(|slot| {
                    let arcs = slot.arcs.iter().map(|arc| {
                        let word = arc.word.map(|word| self.vocabulary.word(word));
                        json!({"word": word, "weight": arc.weight})
                    });
                    json!({"inserted": slot.inserted, "arcs": arcs.collect::<Vec<_>>()})
                });
                let slots: Vec<Value> = slots.collect();
                lattices += &format!("{}\n", json!({"id": utterance.id, "slots": slots}));
            }
        }
        for (wanted, name, text) in [
            (
                self.arguments.utterances,
                "asr-utterances.jsonl",
                utterances,
            ),
            (self.arguments.lattices, "lattices.jsonl", lattices),
        ] {
            if wanted {
                output::write(&folder.join(name), text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// What is told at the end: the error rates of every system.
    pub(super) fn summary(&self) -> String {
        let mut summary = format!(
            "WER, {} words, normaliser {}:\n",
            self.words(),
            self.normaliser()
        );
        summary += &self.summary;
        let oracles = [
            ("list oracle", self.list_oracle),
            ("lattice oracle", self.lattice_oracle),
        ];
        for (name, errors) in oracles {
            if let Some(errors) = errors {
                let rate = 100.0 * errors as f64 / self.words().max(1) as f64;
                summary += &format!("{name:>20}: {rate:.2} %\n");
            }
        }
        summary
    }

    fn words(&self) -> usize {
        let references = self
            .set
            .distinct
            .iter()
            .filter_map(|list| list.reference.as_ref());
        references.map(Vec::len).sum()
    }
}

/// A system's error rate, and its difference from the best hypotheses'.
fn told(found: &Comparison) -> String {
    let change = found.second.errors() as f64 - found.first.errors() as f64;
    let points = 100.0 * change / found.second.reference_words as f64;
    format!(
        "{}; mean of utterances {:.2} %; {points:+.2} points, fewer errors in {:.1} % of replicates",
        rate(found.second, found.bootstrap.second),
        100.0 * found.second_utterance_mean,
        100.0 * found.bootstrap.improvement,
    )
}
