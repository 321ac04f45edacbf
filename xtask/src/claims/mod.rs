//! The paper's qualitative claims, each judged by a small function from recorded results.
//!
//! A claim (D1 to D27) yields lines of `claims.csv`, each of which compares one measured number with one threshold.
//! Thresholds are those that the claims were written down with, before anything was measured; none is tuned.
//! What cannot be judged from the results at hand is a line too, `not tested`, with the reason.
//!
//! Claims are made by versions of the paper; where the versions used different logit lenses (0.3), the standard lens
//! stands for the NeurIPS version and the legacy lens for those before.
//!
//! Standard errors are those of the deciding number where it has one. The reason says where it is only a bound: the mean
//! of standard errors is at least the standard error of the mean, however the parts depend on each other. A place that
//! was chosen by the data, a median or a maximum, is taken as given.

mod attention;
pub(crate) mod evidence;
mod interventions;
mod lenses;
mod neurons;
mod outcome;
mod outputs;
pub mod stage_numbers;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;

pub use evidence::Evidence;
pub use outcome::{Threshold, Verdict};

use crate::figures::FigureId;
use crate::figures::models::Facts;
use crate::figures::table::record;
use crate::results::Results;
use outcome::{Finding, Unjudged};

/// A version of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first one, June 2024.
    V1,
    /// The third one, June 2025.
    V3,
    /// NeurIPS 2025.
    Nips,
}

impl Version {
    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V3 => "v3",
            Self::Nips => "nips",
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
        /// Name of the claim, D1 to D27.
        pub claim: String,
        /// The versions of the paper that make it, or `ours`.
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
    key(claim, version, model, statement) fault(|_| None)
}

/// One claim.
pub struct Claim {
    /// D1 to D27.
    pub id: &'static str,
    /// The versions that make it.
    pub versions: &'static [Version],
    /// What is claimed.
    pub statement: &'static str,
    /// The figures whose results it is judged from.
    pub needs: &'static [FigureId],
    /// The models that it is about; empty where any will do.
    pub models: &'static str,
    judge: fn(&Evidence<'_>) -> Vec<Finding>,
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
            .map(|finding| finding.row(self))
            .collect()
    }
}

const ALL: &[Version] = &[Version::V1, Version::V3, Version::Nips];
const V3_ON: &[Version] = &[Version::V3, Version::Nips];
const V1_AND_NIPS: &[Version] = &[Version::V1, Version::Nips];

macro_rules! claims {
    ($($id:literal, $versions:expr, $statement:literal, [$($needs:ident),*], $judge:path $(, $models:literal)?;)*) => {
        /// The claims, in order.
        pub const CLAIMS: &[Claim] = &[$(Claim {
            id: $id,
            versions: $versions,
            statement: $statement,
            needs: &[$(FigureId::$needs),*],
            models: concat!($($models)?),
            judge: $judge,
        },)*];
    };
}

claims! {
    "D1", ALL, "middle layers are robust", [Robustness], interventions::d1;
    "D2", ALL, "the first layer is catastrophic in every model", [Robustness], interventions::d2;
    "D3", &[Version::Nips], "failure has high entropy and is no collapse onto one token", [Robustness], interventions::d3;
    "D4", &[Version::Nips], "swapping the last pair is worse for Pythia than for GPT-2", [Robustness], interventions::d4, "GPT-2 and Pythia models";
    "D5", ALL, "a swap is milder than a drop at intermediate depth", [Robustness], interventions::d5;
    "D6", V1_AND_NIPS, "GPT-2 is more robust than Pythia", [Robustness], interventions::d6, "GPT-2 and Pythia models";
    "D7", &[Version::V1], "deeper models are more robust", [Robustness], interventions::d7, "models of three numbers of blocks";
    "D8", V3_ON, "benchmarks mirror the divergence", [Benchmarks], interventions::d8;
    "D9", V3_ON, "representations are similar within the robust region, apart from the first layer", [Cka], interventions::d9;
    "D10", ALL, "early attention is local and becomes less so", [AttentionLocality], attention::d10;
    "D11", ALL, "early heads merge the pieces of a word", [SubwordHeads], attention::d11;
    "D12", V3_ON, "word senses are best read in the middle of the model", [Wic], lenses::d12;
    "D13", V3_ON, "word senses are read best while the lens is still uncertain", [Wic, LensEntropy], lenses::d13;
    "D14", ALL, "divergence and entropy of the lens fall from about mid-depth", [LensKl, LensEntropy], lenses::d14;
    "D15", ALL, "prediction neurons peak at about 85 % of depth and are fewer at the end", [Neurons], neurons::d15;
    "D16", ALL, "suppression neurons overtake and peak at the very end", [Neurons], neurons::d16;
    "D17", ALL, "the divergence falls fastest where prediction neurons are dense", [LensKl, Neurons], neurons::d17;
    "D18", V1_AND_NIPS, "Phi-1 has fewer prediction neurons and a flatter divergence than Phi-1.5 and Phi-2; Phi has several times the densities of GPT-2 and Pythia", [Neurons, LensKl], neurons::d18, "Phi, GPT-2 and Pythia models";
    "D19", V1_AND_NIPS, "the best single probes are suppression neurons, about as good as the model", [SuffixProbe], neurons::d19;
    "D20", V1_AND_NIPS, "ensembles of neurons beat single ones and sometimes the model", [SuffixProbe], neurons::d20;
    "D21", V1_AND_NIPS, "in the final layers of some models the entropy of the lens rises", [LensEntropy], lenses::d21;
    "D22", ALL, "the MLP's output norm peaks in the last layers", [MlpNorm], outputs::d22;
    "D23", V3_ON, "repeating late blocks lowers the output's entropy, repeating early ones does not", [Repeats], outputs::d23;
    "D24", V3_ON, "repeating late blocks improves benchmark accuracy", [Benchmarks], outputs::d24, "Qwen2.5 models and HellaSwag";
    "D25", &[Version::Nips], "the same pattern shows above 10B parameters and on text of another kind", [Shift, AttentionLocality, LensKl, LensEntropy, Neurons, MlpNorm], outputs::d25;
    "D26", &[Version::V1], "attention writes less in comparison with the MLP with depth", [SublayerRatio], attention::d26;
    "D27", &[], "the wrong lens of the first versions changes D13, D14 and D21", [Wic, LensKl, LensEntropy], lenses::d27;
}

/// The lines of `claims.csv`: every claim in order, judged for the models of a run.
pub fn judge(results: &Results, models: &[Facts]) -> Vec<Row> {
    let evidence = Evidence { results, models };
    CLAIMS
        .iter()
        .flat_map(|claim| claim.rows(&evidence))
        .collect()
}
