//! The paper's qualitative claims, each judged by a small function from recorded results.
//!
//! A claim (D1 to D27 are the paper's, D28 to D30 this project's; other letters belong to related papers) yields lines of
//! `claims.csv`, each of which compares the interval of one measured number with one threshold; and, for each version that
//! makes the claim, a verdict in `verdicts.csv`.
//! Thresholds were fixed before anything was measured, or by the audit that replaced tests that held although there was nothing
//! to find; none is tuned.
//! A claim that cannot be judged from the results at hand gets a line too, `not tested`, with the reason.
//!
//! Claims are made by versions of the paper; where the versions used different logit lenses (0.3), the standard lens
//! stands for the NeurIPS version and the legacy lens for earlier versions.
//!
//! A line holds if its whole interval is as claimed, fails if none of it is, and is undecided otherwise. Intervals of 95 %
//! come from resamples of the independent units ([`sample`](super::sample)). A number read off the weights has the range that
//! it takes as thresholds vary; a number that compares models has the share of arrangements of the models that are as extreme.
//! A claim fails if a line fails, and holds if every tested line holds. A claim about some model or task holds if one of its
//! lines does after Holm's correction for all of them.

use super::finding::{Finding, NotTested, ONE_SIDE, Reach, Threshold, Verdict};
use super::lens::Lens;
use super::models::Facts;
use super::table::{Record, record};
use super::tables::Tables;
use serde::{Deserialize, Serialize};

/// The results of a run, and its models.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The results.
    pub tables: &'a Tables,
    /// The models, in the order of the run.
    pub models: &'a [Facts],
}

/// The `findings` for each model, in the order of the run.
pub fn each_model(
    evidence: &Evidence<'_>,
    findings: impl Fn(&str) -> Vec<Finding>,
) -> Vec<Finding> {
    let models = evidence.models.iter();
    models.flat_map(|model| findings(&model.name)).collect()
}

/// The source of a claim: a version of the paper, or a related paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first one, June 2024.
    V1,
    /// The third one, June 2025.
    V3,
    /// NeurIPS 2025.
    Nips,
    /// AdaInfer (arXiv 2403.02181).
    Exits,
    /// Skipping late sublayers (arXiv 2407.15516).
    Skipping,
    /// Fantastic Semantics (arXiv 2403.01509).
    Semantics,
    /// Multi-stage correction for speech recognition (arXiv 2310.11532).
    Correction,
    /// The Unreasonable Ineffectiveness of the Deeper Layers (arXiv 2403.17887).
    Deeper,
    /// The tuned lens (arXiv 2303.08112).
    Tuned,
    /// Transformer Layers as Painters (arXiv 2407.09298).
    Painters,
}

impl Version {
    /// Every version of the paper.
    pub const ALL: &'static [Self] = &[Self::V1, Self::V3, Self::Nips];
    /// The third version and the NeurIPS version.
    pub const V3_ON: &'static [Self] = &[Self::V3, Self::Nips];
    /// The first version and the NeurIPS version.
    pub const V1_AND_NIPS: &'static [Self] = &[Self::V1, Self::Nips];
    /// AdaInfer.
    pub const EXITS: &'static [Self] = &[Self::Exits];
    /// Skipping late sublayers.
    pub const SKIPPING: &'static [Self] = &[Self::Skipping];
    /// Fantastic Semantics.
    pub const SEMANTICS: &'static [Self] = &[Self::Semantics];
    /// Multi-stage correction for speech recognition.
    pub const CORRECTION: &'static [Self] = &[Self::Correction];
    /// The Unreasonable Ineffectiveness of the Deeper Layers.
    pub const DEEPER: &'static [Self] = &[Self::Deeper];
    /// The tuned lens.
    pub const TUNED: &'static [Self] = &[Self::Tuned];
    /// Transformer Layers as Painters.
    pub const PAINTERS: &'static [Self] = &[Self::Painters];

    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V3 => "v3",
            Self::Nips => "nips",
            Self::Exits => "arXiv 2403.02181",
            Self::Skipping => "arXiv 2407.15516",
            Self::Semantics => "arXiv 2403.01509",
            Self::Correction => "arXiv 2310.11532",
            Self::Deeper => "arXiv 2403.17887",
            Self::Tuned => "arXiv 2303.08112",
            Self::Painters => "arXiv 2407.09298",
        }
    }
}

/// Names of versions, joined by commas; `ours` for a claim that is not the paper's.
fn names(versions: impl Iterator<Item = Version>) -> String {
    let names: Vec<&str> = versions.map(Version::name).collect();
    match names.as_slice() {
        [] => "ours".to_owned(),
        names => names.join(", "),
    }
}

record! {
    /// One line of `claims.csv`: one number against one threshold.
    pub struct Row {
        /// Name of the claim, such as D1.
        pub claim: String,
        /// The versions of the paper that make it, a related paper, or `ours`.
        pub version: String,
        /// The model, or `*` for a comparison of models.
        pub model: String,
        /// The statement of the claim, and the part of it that this line judges.
        pub statement: String,
        /// The deciding number.
        pub measured: Option<f64>,
        /// The lower end of its interval of 95 %.
        pub low: Option<f64>,
        /// The upper end.
        pub high: Option<f64>,
        /// What the number must be for the claim to hold.
        pub threshold: String,
        /// The outcome.
        pub verdict: Verdict,
        /// Notes on the outcome; if it is not tested, the reason.
        pub reason: String,
    }
    table("claims") key(claim, version, model, statement) fault(|_| None)
}

/// One line of `verdicts.csv`: a claim, as the named versions make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Name of the claim, such as D1.
    pub claim: String,
    /// The versions of the paper that make it, a related paper, or `ours`.
    pub version: String,
    /// The statement.
    pub statement: String,
    /// The outcome.
    pub verdict: Verdict,
    /// The number of its lines that hold.
    pub hold: usize,
    /// The number that fail.
    pub fail: usize,
    /// The number that are undecided.
    pub undecided: usize,
    /// The number that are not tested.
    pub not_tested: usize,
    /// The line that decided, or why there is none.
    pub reason: String,
}

impl Record for Judgement {
    const NAME: &'static str = "verdicts";

    const COLUMNS: &'static [&'static str] = &[
        "claim",
        "version",
        "statement",
        "verdict",
        "hold",
        "fail",
        "undecided",
        "not_tested",
        "reason",
    ];

    fn key(&self) -> String {
        format!("claim {:?}, version {:?}", self.claim, self.version)
    }

    /// The claim is about all of them.
    fn model(&self) -> &'static str {
        "*"
    }

    fn fault(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// Claims, judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// One verdict for each claim and set of versions that make it alike.
    pub claims: Vec<Judgement>,
    /// Their lines.
    pub lines: Vec<Row>,
}

/// The test of a claim.
pub type Judge = fn(&Evidence<'_>) -> Vec<Finding>;

/// One claim.
pub struct Claim {
    /// Its name: a letter for the paper and a number, such as D1.
    pub id: &'static str,
    /// The versions that make it.
    pub versions: &'static [Version],
    /// The statement.
    pub statement: &'static str,
    /// The experiments whose results it is judged from.
    pub needs: &'static [&'static str],
    /// The models it is about; empty if it is about any model.
    pub models: &'static str,
    /// Its test.
    pub judge: Judge,
}

impl Claim {
    /// A claim about any model, judged from the results of one experiment.
    pub const fn of(
        experiment: &'static [&'static str; 1],
        versions: &'static [Version],
        id: &'static str,
        statement: &'static str,
        judge: Judge,
    ) -> Self {
        Self {
            id,
            versions,
            statement,
            needs: experiment,
            models: "",
            judge,
        }
    }

    /// Names of the versions that make it, joined by commas.
    pub fn version(&self) -> String {
        names(self.versions.iter().copied())
    }

    /// The lines of this claim on the results: by model in the order of the run, comparisons of models last.
    pub fn judged(&self, evidence: &Evidence<'_>) -> Judged {
        let mut findings = (self.judge)(evidence);
        if findings.is_empty() {
            let missing = NotTested::because("no model of this run has what the claim is about");
            findings.push(Finding::of("*", "", Threshold::Above(0.0), Err(missing)));
        }
        let lines: Vec<Row> = findings.iter().map(|finding| self.row(finding)).collect();
        let mut versions: Vec<&str> = Vec::new();
        for line in &lines {
            if !versions.contains(&line.version.as_str()) {
                versions.push(&line.version);
            }
        }
        let claims = versions.into_iter().map(|version| {
            let own = findings.iter().zip(&lines);
            let own = own.filter(|(_, line)| line.version == version);
            self.judgement(version, &own.collect::<Vec<_>>())
        });
        Judged {
            claims: claims.collect(),
            lines,
        }
    }

    /// The verdict from all lines of a version.
    fn judgement(&self, version: &str, lines: &[(&Finding, &Row)]) -> Judgement {
        let count = |verdict| {
            let own = lines.iter().filter(|(_, line)| line.verdict == verdict);
            own.count()
        };
        let (verdict, reason) = together(lines);
        Judgement {
            claim: self.id.to_owned(),
            version: version.to_owned(),
            statement: self.statement.to_owned(),
            verdict,
            hold: count(Verdict::Holds),
            fail: count(Verdict::Fails),
            undecided: count(Verdict::Undecided),
            not_tested: count(Verdict::NotTested),
            reason,
        }
    }

    /// The line for a finding.
    fn row(&self, finding: &Finding) -> Row {
        let mut statement = self.statement.to_owned();
        if !finding.part.is_empty() {
            statement = format!("{statement}: {}", finding.part);
        }
        let mut versions = self.versions.to_vec();
        if let Some(lens) = finding.lens {
            statement = format!("{statement} ({} lens)", lens.name());
            // Only the NeurIPS version uses the standard lens.
            versions.retain(|version| (*version == Version::Nips) == (lens == Lens::Standard));
        }
        let (measured, interval, reason) = match &finding.outcome {
            Ok(measured) => (
                Some(measured.value),
                measured.interval(),
                measured.note.clone(),
            ),
            Err(NotTested(reason)) => (None, None, reason.clone()),
        };
        let finite = |end: f64| Some(end).filter(|end| end.is_finite());
        Row {
            claim: self.id.to_owned(),
            version: names(versions.into_iter()),
            model: finding.model.clone(),
            statement,
            measured,
            low: interval.and_then(|[low, _]| finite(low)),
            high: interval.and_then(|[_, high]| finite(high)),
            threshold: finding.threshold.to_string(),
            verdict: finding.verdict(),
            reason,
        }
    }
}

/// The joint outcome of lines, and the line that decides it.
fn together(lines: &[(&Finding, &Row)]) -> (Verdict, String) {
    let told = |verdict: Verdict, line: &(&Finding, &Row)| {
        let (finding, line) = line;
        let part = match finding.part.as_str() {
            "" => String::new(),
            part => format!(", {part}"),
        };
        let of = match line.measured {
            Some(value) => format!(": {value:.4} where {} is claimed", line.threshold),
            None => format!(": {}", line.reason),
        };
        format!("{}{part} {}{of}", line.model, verdict.name())
    };
    type Lines<'a> = Vec<&'a (&'a Finding, &'a Row)>;
    let (of_each, of_one): (Lines<'_>, Lines<'_>) = lines
        .iter()
        .partition(|(finding, _)| finding.reach == Reach::Every);
    let mut outcomes: Vec<(Verdict, String)> = Vec::new();
    outcomes.extend(
        of_each
            .into_iter()
            .map(|line| (line.1.verdict, told(line.1.verdict, line))),
    );
    // The line with the strongest evidence.
    let p = |line: &&&(&Finding, &Row)| line.0.p().unwrap_or(f64::INFINITY);
    if let Some(best) = of_one.iter().min_by(|a, b| p(a).total_cmp(&p(b))) {
        let verdict = of_some(&of_one);
        outcomes.push((verdict, told(verdict, best)));
    }
    let decisive = [
        Verdict::Fails,
        Verdict::Undecided,
        Verdict::Holds,
        Verdict::NotTested,
    ];
    let mut found = decisive.into_iter().filter_map(|verdict| {
        let mut own = outcomes.iter().filter(|(other, _)| *other == verdict);
        own.next().cloned()
    });
    found.next().unwrap_or((Verdict::NotTested, String::new()))
}

/// The joint outcome of lines of which one has to hold: the first step of Holm's correction (1979), which is Bonferroni's.
fn of_some(lines: &[&(&Finding, &Row)]) -> Verdict {
    let tested: Vec<f64> = lines
        .iter()
        .filter_map(|(finding, _)| finding.p())
        .collect();
    let looks = tested.len() as f64;
    let least = tested.into_iter().reduce(f64::min);
    let fails =
        |(_, line): &&(&Finding, &Row)| matches!(line.verdict, Verdict::Fails | Verdict::NotTested);
    match least {
        None => Verdict::NotTested,
        Some(p) if p * looks <= ONE_SIDE => Verdict::Holds,
        Some(_) if lines.iter().all(fails) => Verdict::Fails,
        Some(_) => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Measured;

    fn claim(judge: fn(&Evidence<'_>) -> Vec<Finding>) -> Claim {
        Claim {
            id: "D1",
            versions: Version::ALL,
            statement: "something",
            needs: &[],
            models: "",
            judge,
        }
    }

    fn line(model: &str, value: f64, error: Option<f64>) -> Finding {
        let measured = Measured::of(value).with_error(error);
        Finding::of(model, "a part", Threshold::Above(0.0), Ok(measured))
    }

    fn missing(model: &str) -> Finding {
        let why = NotTested::because("missing");
        Finding::of(model, "a part", Threshold::Above(0.0), Err(why))
    }

    #[track_caller]
    fn check(judge: fn(&Evidence<'_>) -> Vec<Finding>, verdict: Verdict, counts: [usize; 4]) {
        let (tables, models) = (Tables::default(), Vec::new());
        let evidence = Evidence {
            tables: &tables,
            models: &models,
        };
        let judged = claim(judge).judged(&evidence);
        let [found] = judged.claims.as_slice() else {
            panic!("{judged:?}");
        };
        assert_eq!(found.verdict, verdict, "{found:?}");
        let lines = [found.hold, found.fail, found.undecided, found.not_tested];
        assert_eq!(lines, counts, "{found:?}");
        assert_eq!(lines.iter().sum::<usize>(), judged.lines.len());
        assert!(!found.reason.is_empty());
    }

    #[test]
    fn what_is_said_of_every_model_fails_by_one() {
        check(
            |_| vec![line("a", 3.0, Some(1.0))],
            Verdict::Holds,
            [1, 0, 0, 0],
        );
        check(
            |_| vec![line("a", 3.0, Some(1.0)), missing("b")],
            Verdict::Holds,
            [1, 0, 0, 1],
        );
        check(
            |_| vec![line("a", 3.0, Some(1.0)), line("b", 1.0, Some(1.0))],
            Verdict::Undecided,
            [1, 0, 1, 0],
        );
        check(
            |_| vec![line("a", 1.0, None), line("b", -3.0, Some(1.0))],
            Verdict::Fails,
            [0, 1, 1, 0],
        );
        check(|_| vec![missing("a")], Verdict::NotTested, [0, 0, 0, 1]);
        check(|_| Vec::new(), Verdict::NotTested, [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_said_of_some_model_holds_by_one_after_all_looks() {
        check(
            |_| {
                vec![
                    line("a", 3.0, Some(1.0)).of_some(),
                    line("b", -9.0, Some(1.0)).of_some(),
                ]
            },
            Verdict::Holds,
            [1, 1, 0, 0],
        );
        // By chance one line in twenty seems to hold.
        check(
            |_| {
                let others = (0..19).map(|_| line("b", 0.0, Some(1.0)).of_some());
                others
                    .chain([line("a", 2.5, Some(1.0)).of_some()])
                    .collect()
            },
            Verdict::Undecided,
            [1, 0, 19, 0],
        );
        check(
            |_| vec![line("a", -3.0, Some(1.0)).of_some(), missing("b").of_some()],
            Verdict::Fails,
            [0, 1, 0, 1],
        );
        check(
            |_| vec![line("a", 3.0, Some(1.0)), missing("b").of_some()],
            Verdict::Holds,
            [1, 0, 0, 1],
        );
    }
}
