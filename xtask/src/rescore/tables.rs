//! What `rescore` writes: a row for each system, the gate's rows, and a transcript of each system.

use super::arguments::Arguments;
use super::comparing::rate;
use super::keeping::SCORES;
use super::writing::journal;
use crate::experiments::asr_correction::table::{About, GateRecord, Record};
use crate::experiments::core::table::{self, Record as _};
use crate::manifest::Manifest;
use crate::output;
use anyhow::Context;
use layerwise::transcripts::{
    Comparison, Detection, Gate, Lattice, Mode, ScoredLists, System, Vocabulary,
};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;

const UTTERANCES: &str = "asr-utterances.jsonl";
const LATTICES: &str = "lattices.jsonl";
const MANIFEST: &str = "manifest.json";

/// Refuses a folder in which a file that this run writes could not be written.
///
/// # Errors
/// The message names what is in the way.
pub(super) fn check(
    arguments: &Arguments,
    modes: &[Mode],
    written: &[&'static str],
    folder: &Path,
) -> anyhow::Result<()> {
    output::check_folder(folder)?;
    let count = arguments.count.rule();
    let mut names = vec![MANIFEST.to_owned(), SCORES.to_owned()];
    for mode in written {
        let name = System::name_of(mode, count, arguments.tau.is_some());
        names.push(format!("{name}.txt"));
        output::check_file(&journal(folder, mode))?;
    }
    for mode in modes {
        let gates = [false, arguments.is_gated() && *mode != Mode::Best];
        let name = |gated| System::name_of(mode.name(), mode.count_rule(count), gated);
        names.extend(gates.map(|gated| format!("{}.txt", name(gated))));
    }
    if arguments.corrections.is_some() {
        let name = System::name_of(System::EXTERNAL, count, false);
        names.push(format!("{name}.txt"));
    }
    names.extend([Record::NAME, GateRecord::NAME].map(|name| format!("{name}.csv")));
    let wanted = [
        (arguments.utterances, UTTERANCES),
        (arguments.lattices, LATTICES),
    ];
    let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted);
    names.extend(wanted.map(|(_, name)| name.to_owned()));
    for name in names {
        output::check_file(&folder.join(name))?;
    }
    Ok(())
}

/// Everything that is written.
pub(super) struct Tables<'a> {
    arguments: &'a Arguments,
    set: &'a ScoredLists,
    gate: Gate,
    /// `None` without references.
    about: Option<About>,
    rows: Vec<Record>,
    /// What is told at the end.
    summary: String,
    /// Names and contents of transcripts.
    transcripts: Vec<(String, String)>,
    /// For each utterance what each system made of it.
    decisions: Vec<Map<String, Value>>,
}

impl<'a> Tables<'a> {
    /// Tables without rows.
    ///
    /// # Errors
    /// A lattice of too many slots.
    pub(super) fn new(
        arguments: &'a Arguments,
        model: &str,
        gate: Gate,
        set: &'a ScoredLists,
    ) -> anyhow::Result<Self> {
        let name = arguments.file.file_stem().unwrap_or_default();
        let normaliser = arguments.normaliser.name();
        let about = [model, &name.to_string_lossy(), normaliser];
        let about = About::new(about, set, arguments.count.rule())?;
        let summary = match about {
            Some(_) => {
                let words = set.reference_words();
                format!("WER, {words} words, normaliser {normaliser}:\n")
            }
            None => "no references: transcripts alone\n".to_owned(),
        };
        Ok(Self {
            arguments,
            set,
            gate,
            about,
            rows: Vec::new(),
            summary,
            transcripts: Vec::new(),
            decisions: vec![Map::new(); set.distinct.len()],
        })
    }

    /// Adds a system, with the seconds that it took.
    ///
    /// # Errors
    /// The comparison with the best hypotheses fails.
    pub(super) fn push(
        &mut self,
        system: &System,
        seconds: Option<f64>,
        vocabulary: &Vocabulary,
    ) -> anyhow::Result<()> {
        let name = system.name();
        for (at, output) in system.outputs.iter().enumerate() {
            let text = vocabulary.text(&output.words);
            let mut decision = json!({"sent": output.is_sent, "output": text});
            if let Some(errors) = self.set.distinct[at].errors(&output.words) {
                decision["errors"] = errors.errors().into();
            }
            self.decisions[at].insert(name.clone(), decision);
        }
        let transcript = system.transcript(self.set, vocabulary);
        self.transcripts.push((format!("{name}.txt"), transcript));
        let (replicates, seed) = (self.arguments.replicates as usize, self.arguments.seed);
        let found = system
            .compare(self.set, replicates, seed)
            .with_context(|| self.arguments.file.display().to_string())?;
        if let (Some(found), Some(about)) = (found, &self.about) {
            writeln!(self.summary, "{name:>20}: {}", told(&found))?;
            self.rows.push(Record::new(about, system, &found, seconds));
        }
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(super) fn write(
        &self,
        folder: &Path,
        vocabulary: &Vocabulary,
        manifest: &Manifest,
    ) -> anyhow::Result<()> {
        output::make_folder(folder)?;
        for (name, text) in &self.transcripts {
            output::write(&folder.join(name), text.as_bytes())?;
        }
        if let Some(about) = &self.about {
            let gate = Detection::all(&self.gate, self.set);
            let gate: Vec<_> = gate.iter().map(|it| GateRecord::new(about, it)).collect();
            write_table(folder, &gate)?;
            write_table(folder, &self.rows)?;
        }
        if self.arguments.utterances {
            output::write(&folder.join(UTTERANCES), self.utterances().as_bytes())?;
        }
        if self.arguments.lattices {
            let lattices = self.lattices(vocabulary)?;
            output::write(&folder.join(LATTICES), lattices.as_bytes())?;
        }
        output::write(&folder.join(MANIFEST), manifest.json()?.as_bytes())
    }

    /// A line of JSON for each utterance: what the gate and each system made of it.
    fn utterances(&self) -> String {
        let judged = self
            .set
            .distinct
            .iter()
            .zip(self.set.judgements(&self.gate));
        let told = self.set.lists.utterances.iter().zip(&self.decisions);
        let mut lines = String::new();
        for ((list, judgement), (utterance, decisions)) in judged.zip(told) {
            let line = json!({
                "id": utterance.id,
                "posteriors": judgement.posteriors,
                "sent": judgement.is_sent,
                "errors_before": list.errors(&list.hypotheses[0]).map(|errors| errors.errors()),
                "systems": decisions,
            });
            lines += &format!("{line}\n");
        }
        lines
    }

    /// A line of JSON for each utterance: its word lattice.
    fn lattices(&self, vocabulary: &Vocabulary) -> anyhow::Result<String> {
        let mut lines = String::new();
        let judged = self
            .set
            .distinct
            .iter()
            .zip(self.set.judgements(&self.gate));
        for ((list, judgement), utterance) in judged.zip(&self.set.lists.utterances) {
            let lattice = Lattice::rover(&list.hypotheses, &judgement.posteriors)?;
            let slots = lattice.slots().iter().map(|slot| {
                let arcs = slot.arcs.iter().map(|arc| {
                    let word = arc.word.map(|word| vocabulary.word(word));
                    json!({"word": word, "weight": arc.weight})
                });
                json!({"inserted": slot.inserted, "arcs": arcs.collect::<Vec<_>>()})
            });
            let slots: Vec<Value> = slots.collect();
            writeln!(lines, "{}", json!({"id": utterance.id, "slots": slots}))?;
        }
        Ok(lines)
    }

    /// What is told at the end: the error rates of every system.
    pub(super) fn summary(&self) -> String {
        let mut summary = self.summary.clone();
        if let Some(about) = &self.about {
            let words = self.set.reference_words().max(1) as f64;
            for (name, errors) in [
                ("list oracle", about.list_oracle),
                ("lattice oracle", about.lattice_oracle),
            ] {
                let rate = 100.0 * errors as f64 / words;
                summary += &format!("{name:>20}: {rate:.2} %\n");
            }
        }
        summary
    }
}

fn write_table<R: table::Record>(folder: &Path, records: &[R]) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    table::write(records, &mut bytes)?;
    output::write(&folder.join(format!("{}.csv", R::NAME)), &bytes)
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
