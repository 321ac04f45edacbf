//! The outputs of a correction of lists: rows of tables, transcripts, and what happened to each list as JSON.

use super::as_written::as_written;
use super::table::{About, GateRecord, Record};
use crate::core::table::{self, Record as _};
use layerwise_transcripts::{
    Comparison, CountRule, Detection, ErrorCounts, Gate, Interval, Lattice, Mode, Normaliser,
    ScoredLists, System, TranscriptError, Vocabulary,
};
use serde_json::{Map, Value, json};

const UTTERANCES: &str = "asr-utterances.jsonl";
const LATTICES: &str = "lattices.jsonl";

/// The requested outputs.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Methods of correction that search.
    pub modes: Vec<Mode>,
    /// Modes in which a transformer writes.
    pub written: Vec<&'static str>,
    /// Whether another program also corrects.
    pub is_external: bool,
    /// The rule on the number of words.
    pub count: CountRule,
    /// Whether to make searched corrections behind the gate, too.
    pub is_gated: bool,
    /// Whether written corrections are behind the gate.
    pub writes_gated: bool,
    /// Whether to output what happened to each list.
    pub utterances: bool,
    /// Whether to output the word lattice of each list.
    pub lattices: bool,
}

impl Wanted {
    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        let name =
            |mode, count, is_gated| format!("{}.txt", System::name_of(mode, count, is_gated));
        let written = self.written.iter();
        let mut names: Vec<String> = written
            .map(|mode| name(mode, self.count, self.writes_gated))
            .collect();
        for mode in &self.modes {
            let gates = [false, self.is_gated && *mode != Mode::Best];
            let count = mode.count_rule(self.count);
            names.extend(gates.map(|is_gated| name(mode.name(), count, is_gated)));
        }
        if self.is_external {
            names.push(name(System::EXTERNAL, self.count, false));
        }
        names.extend([Record::NAME, GateRecord::NAME].map(|name| format!("{name}.csv")));
        let extras = [(self.utterances, UTTERANCES), (self.lattices, LATTICES)];
        let extras = extras.into_iter().filter(|(wanted, _)| *wanted);
        names.extend(extras.map(|(_, name)| name.to_owned()));
        names
    }
}

/// The corrections of the lists of one set.
pub struct Outputs<'a> {
    wanted: &'a Wanted,
    set: &'a ScoredLists,
    gate: Gate,
    /// The number of resamples of the utterances, and their seed.
    resampling: (usize, u64),
    /// `None` without references.
    about: Option<About>,
    /// The best hypotheses as they are written, if the normaliser changes words.
    raw: Option<(Record, Comparison)>,
    rows: Vec<Record>,
    /// The summary printed at the end.
    summary: String,
    /// Names and contents of transcripts.
    transcripts: Vec<(String, String)>,
    /// Each system's output for each utterance.
    decisions: Vec<Map<String, Value>>,
}

impl<'a> Outputs<'a> {
    /// No corrections yet; `names` are those of the model, the set and the normaliser.
    ///
    /// # Errors
    /// A lattice has too many slots.
    pub fn new(
        names: [&str; 3],
        wanted: &'a Wanted,
        gate: Gate,
        resampling: (usize, u64),
        set: &'a ScoredLists,
    ) -> Result<Self, TranscriptError> {
        let about = About::new(names, set, wanted.count)?;
        let raw = match names[2] == Normaliser::None.name() {
            true => None,
            false => as_written([names[0], names[1]], &set.lists, resampling)?,
        };
        let summary = match about {
            Some(_) => {
                let words = set.reference_words();
                format!("WER, {words} words, normaliser {}:\n", names[2])
            }
            None => "no references, so there are no word error rates\n".to_owned(),
        };
        Ok(Self {
            wanted,
            set,
            gate,
            resampling,
            about,
            raw,
            rows: Vec::new(),
            summary,
            transcripts: Vec::new(),
            decisions: vec![Map::new(); set.distinct.len()],
        })
    }

    /// Adds a system, with the seconds it took.
    ///
    /// # Errors
    /// The comparison with the best hypotheses fails.
    pub fn push(
        &mut self,
        system: &System,
        seconds: Option<f64>,
        vocabulary: &Vocabulary,
    ) -> Result<(), TranscriptError> {
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
        let (replicates, seed) = self.resampling;
        let found = system.compare(self.set, replicates, seed)?;
        if let (Some(found), Some(about)) = (found, &self.about) {
            self.summary += &format!("{name:>20}: {}\n", told(&found));
            self.rows.push(Record::new(about, system, &found, seconds));
        }
        Ok(())
    }

    /// The names and bytes of all files.
    ///
    /// # Errors
    /// A lattice has too many slots.
    pub fn files(
        &self,
        vocabulary: &Vocabulary,
    ) -> Result<Vec<(String, Vec<u8>)>, TranscriptError> {
        let transcripts = self.transcripts.iter();
        let mut files: Vec<(String, Vec<u8>)> = transcripts
            .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
            .collect();
        if let Some(about) = &self.about {
            let gate = Detection::all(&self.gate, self.set);
            let gate: Vec<_> = gate.iter().map(|it| GateRecord::new(about, it)).collect();
            let raw = self.raw.iter().map(|(raw, _)| raw);
            let rows: Vec<Record> = self.rows.iter().chain(raw).cloned().collect();
            files.extend([csv(&gate), csv(&rows)]);
        }
        if self.wanted.utterances {
            files.push((UTTERANCES.to_owned(), self.utterances().into_bytes()));
        }
        if self.wanted.lattices {
            files.push((LATTICES.to_owned(), self.lattices(vocabulary)?.into_bytes()));
        }
        Ok(files)
    }

    /// A JSON line for each utterance: what the gate and each system did with it.
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
                "gap": judgement.gap,
                "hypotheses": judgement.distinct,
                "distance": judgement.mean_distance,
                "sent": judgement.is_sent,
                "errors_before": list.errors(&list.hypotheses[0]).map(|errors| errors.errors()),
                "systems": decisions,
            });
            lines += &format!("{line}\n");
        }
        lines
    }

    /// A JSON line for each utterance: its word lattice.
    fn lattices(&self, vocabulary: &Vocabulary) -> Result<String, TranscriptError> {
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
            lines += &format!("{}\n", json!({"id": utterance.id, "slots": slots}));
        }
        Ok(lines)
    }

    /// The summary at the end: the error rates of every system.
    pub fn summary(&self) -> String {
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
        let judged = self.set.judgements(&self.gate);
        let sent = judged.iter().filter(|judgement| judgement.is_sent);
        summary += &format!(
            "{:>20}: a person should read {} of {} utterances, which have a posterior of at most {}; --utterances names them\n",
            "gate",
            sent.count(),
            judged.len(),
            self.gate.tau,
        );
        if let Some((raw, found)) = &self.raw {
            summary += &format!(
                "As written, {} words, normaliser {}:\n{:>20}: {}\n{:>20}: {:.2} %\n",
                raw.reference_words,
                raw.normaliser,
                raw.mode,
                rate(found.second, found.bootstrap.second),
                "list oracle",
                raw.list_oracle,
            );
        }
        summary
    }
}

fn csv<R: table::Record>(records: &[R]) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    table::write(records, &mut bytes).expect("memory takes what is written to it");
    (format!("{}.csv", R::NAME), bytes)
}

/// A system's error rate, and its difference from that of the best hypotheses.
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

/// A rate with its interval and counts.
pub fn rate(counts: ErrorCounts, interval: Interval) -> String {
    format!(
        "{:.2} % [{:.2}, {:.2}], {} errors ({} substitutions, {} deletions, {} insertions) in {} words",
        100.0 * counts.rate().unwrap_or(0.0),
        100.0 * interval.low,
        100.0 * interval.high,
        counts.errors(),
        counts.substitutions,
        counts.deletions,
        counts.insertions,
        counts.reference_words
    )
}
