//! The paper's qualitative claims, each judged by a small function from recorded results.
//!
//! A claim (D1 to D27 of the paper, D28 to D30 of ours; A1 to A9, F1 to F10, M1 to M9 and T1 to T10 of related systems) yields lines of `claims.csv`, each of which compares one measured number with one threshold.
//! Thresholds are those that the claims were written down with, before anything was measured; none is tuned.
//! What cannot be judged from the results at hand is a line too, `not tested`, with the reason.
//!
//! Claims are made by versions of the paper; where the versions used different logit lenses (0.3), the standard lens
//! stands for the NeurIPS version and the legacy lens for those before.
//!
//! Standard errors are those of the deciding number where it has one. The reason says where it is only a bound: the mean
//! of standard errors is at least the standard error of the mean, however the parts depend on each other. A place that
//! was chosen by the data, a median or a maximum, is taken as given.

use super::finding::{Finding, Threshold, Unjudged, Verdict};
use super::lens::Lens;
use super::models::Facts;
use super::table::record;
use super::tables::Tables;

/// The results of a run, and the models that were in it.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The results.
    pub tables: &'a Tables,
    /// The models, in the order of the run.
    pub models: &'a [Facts],
}

/// What `findings` says of each model, in the order of the run.
pub fn each_model(
    evidence: &Evidence<'_>,
    findings: impl Fn(&str) -> Vec<Finding>,
) -> Vec<Finding> {
    let models = evidence.models.iter();
    models.flat_map(|model| findings(&model.name)).collect()
}

/// Who makes a claim: a version of the paper, or a related paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first one, June 2024.
    V1,
    /// The third one, June 2025.
    V3,
    /// NeurIPS 2025.
    Nips,
    /// Fantastic Semantics (arXiv 2403.01509).
    Semantics,
    /// Multi-stage correction for speech recognition (arXiv 2310.11532).
    Correction,
}

impl Version {
    /// Every version of the paper.
    pub const ALL: &'static [Self] = &[Self::V1, Self::V3, Self::Nips];
    /// The third version and the NeurIPS version.
    pub const V3_ON: &'static [Self] = &[Self::V3, Self::Nips];
    /// The first version and the NeurIPS version.
    pub const V1_AND_NIPS: &'static [Self] = &[Self::V1, Self::Nips];
    /// Fantastic Semantics.
    pub const SEMANTICS: &'static [Self] = &[Self::Semantics];
    /// Multi-stage correction for speech recognition.
    pub const CORRECTION: &'static [Self] = &[Self::Correction];

    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V3 => "v3",
            Self::Nips => "nips",
            Self::Semantics => "arXiv 2403.01509",
            Self::Correction => "arXiv 2310.11532",
        }
    }
}

/// Names of versions, joined by commas; `ours` where it is no claim of the paper.
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
        /// Name of the claim, as D1.
        pub claim: String,
        /// The versions of the paper that make it, a related paper, or `ours`.
        pub version: String,
        /// The model, or `*` where models are compared.
        pub model: String,
        /// What is claimed, and which part of it this line judges.
        pub statement: String,
        /// The deciding number.
        pub measured: Option<f64>,
        /// Its standard error.
        pub standard_error: Option<f64>,
        /// What the number must be for the claim to hold.
        pub threshold: String,
        /// The outcome.
        pub verdict: Verdict,
        /// What else bears on the outcome; why, where it is not tested.
        pub reason: String,
    }
    table("claims") key(claim, version, model, statement) fault(|_| None)
}

/// One claim.
pub struct Claim {
    /// Its name: a letter for the paper and a number, as D1.
    pub id: &'static str,
    /// The versions that make it.
    pub versions: &'static [Version],
    /// What is claimed.
    pub statement: &'static str,
    /// The experiments whose results it is judged from.
    pub needs: &'static [&'static str],
    /// The models that it is about; empty where any will do.
    pub models: &'static str,
    /// Its test.
    pub judge: fn(&Evidence<'_>) -> Vec<Finding>,
}

impl Claim {
    /// Names of the versions that make it, joined by commas.
    pub fn version(&self) -> String {
        names(self.versions.iter().copied())
    }

    /// The lines about this claim: by model in the order of the run, those that compare models last.
    pub fn rows(&self, evidence: &Evidence<'_>) -> Vec<Row> {
        let mut findings = (self.judge)(evidence);
        if findings.is_empty() {
            let missing =
                Unjudged::NotTested("no model of this run has what the claim is about".to_owned());
            findings.push(Finding::of("*", "", Threshold::Above(0.0), Err(missing)));
        }
        findings
            .into_iter()
            .map(|finding| self.row(finding))
            .collect()
    }

    /// The line that a finding makes.
    fn row(&self, finding: Finding) -> Row {
        let verdict = finding.verdict();
        let mut statement = self.statement.to_owned();
        if !finding.part.is_empty() {
            statement = format!("{statement}: {}", finding.part);
        }
        let mut versions = self.versions.to_vec();
        if let Some(lens) = finding.lens {
            statement = format!("{statement} ({} lens)", lens.name());
            // Only the NeurIPS version has the standard lens.
            versions.retain(|version| (*version == Version::Nips) == (lens == Lens::Standard));
        }
        let (measured, standard_error, reason) = match finding.outcome {
            Ok(measured) => (
                Some(measured.value),
                measured.standard_error.filter(|error| error.is_finite()),
                measured.note,
            ),
            Err(Unjudged::NotTested(reason) | Unjudged::Absent(reason)) => (None, None, reason),
        };
        Row {
            claim: self.id.to_owned(),
            version: names(versions.into_iter()),
            model: finding.model,
            statement,
            measured,
            standard_error,
            threshold: finding.threshold.to_string(),
            verdict,
            reason,
        }
    }
}
