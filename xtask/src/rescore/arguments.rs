//! The options of `rescore`.

use crate::arguments::{Bos, Opening, threads};
use crate::experiments::asr_correction::outputs::Wanted;
use crate::program;
use anyhow::{bail, ensure};
use clap::{Arg, Args as _, Command, ValueEnum};
use layerwise::chat::DateTime;
use layerwise::transcripts::{CountRule, Decoder, Gate, Mode, Repair, ScoreScale, System};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

/// Options of `rescore`.
#[derive(clap::Args)]
#[command(mut_args(needing_model), after_help = format!("\
Example, with a trigram model made from the references of a training file and settings tuned on each other half:
  {0} rescore test.json --trigrams train.json --tune halves --out rescored
With a transformer's scores, and with what it writes itself where the recogniser is unsure:
  {0} rescore test.json --model smollm2 --tau 0.9 --mode lattice --mode generate --mode constrained --out rescored
Two of the transcripts that it leaves, compared:
  {0} rescore test.json --compare rescored/best.txt rescored/lattice.txt", program::name()))]
pub struct Arguments {
    /// Lists of hypotheses: HyPoradise's JSON, two columns (ID TEXT; lines with the same ID are one list), or Kaldi's n-best
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The form of the lists [default: json for .json, else columns]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Costs of Kaldi's hypotheses, a table with the same keys; repeatable, and costs are added up
    #[arg(long, value_name = "FILE")]
    pub costs: Vec<PathBuf>,
    /// The references: what was said, in two columns
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
    /// Take the first N utterances, also of the lists that --tune names
    #[arg(long, value_name = "N")]
    pub rows: Option<NonZeroUsize>,
    /// The normaliser for texts before words are compared
    #[arg(long, value_enum, default_value = "norm")]
    pub normaliser: NormaliserName,
    /// Alternative spellings for whisper-en, in two columns: the word to replace and its replacement
    #[arg(long, value_name = "FILE")]
    pub spellings: Option<PathBuf>,
    /// How to find a transcript, besides best; repeatable [default: best and vote; with a language model also select and lattice]
    ///
    /// generate and constrained prompt a transformer with each list that the gate sends, using --template
    #[arg(long, value_enum)]
    pub mode: Vec<ModeName>,
    /// Make a Kneser-Ney trigram model from a text with one sentence a line, or from the references of lists (.json)
    #[arg(long, value_name = "FILE")]
    pub trigrams: Option<PathBuf>,
    /// Use a transformer: an embedded model's name, a checkpoint folder in the Hugging Face layout, or ORG/NAME of a model in the
    /// Hugging Face cache
    #[arg(long, value_name = "NAME|DIR|ORG/NAME", conflicts_with = "trigrams")]
    pub model: Option<String>,
    /// Text before each sentence that the transformer reads but does not score, such as a word on the domain
    #[arg(long, value_name = "TEXT", default_value = "", requires = "model")]
    pub prefix: String,
    /// A token to score at the end of each sentence; it also ends what the transformer writes
    #[arg(long, value_name = "ID", requires = "model")]
    pub end_token: Option<u32>,
    /// The token before each sentence and each plain prompt: as the checkpoint's tokenizer says (auto), none, or a token id
    #[arg(
        long,
        value_name = "auto|none|ID",
        default_value = "auto",
        requires = "model"
    )]
    pub bos: Bos,
    /// How the transformer is opened.
    #[command(flatten)]
    pub opening: Opening,
    /// Worker threads of the transformer [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads, requires = "model")]
    pub threads: Option<NonZeroUsize>,
    /// Whether a path through a lattice must have as many words as the best hypothesis
    #[arg(long, value_enum, default_value = "free")]
    pub count: CountName,
    /// The weight of the language model [default: 0.35 in select, 0.7 in lattice]
    #[arg(long, value_name = "NUMBER", conflicts_with = "tune")]
    pub alpha: Option<f64>,
    /// Bonus for each word of a lattice's path, in nats [default: 3]
    #[arg(long, value_name = "NUMBER", conflicts_with = "tune")]
    pub beta: Option<f64>,
    /// Beam width: paths kept at each slot of a lattice with more than 256 paths [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    width: Option<u32>,
    /// Temperature of the softmax over hypotheses, in nats [default: 1 for sums of log-probabilities, else 0.05]
    #[arg(long, value_name = "NUMBER")]
    pub theta: Option<f64>,
    /// Keep the best hypothesis if the highest posterior of its list is above this; modes that search have a row without this
    /// gate, too
    #[arg(long, value_name = "NUMBER", conflicts_with = "tune")]
    pub tau: Option<f64>,
    /// Cost of a rank in lists without scores, in nats [default: 0.1]
    #[arg(long, value_name = "NUMBER", conflicts_with = "tune")]
    pub kappa: Option<f64>,
    /// The weight of the language model in the posteriors
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    pub gate_alpha: f64,
    /// Correct lists of one hypothesis, too
    #[arg(long)]
    pub send_single: bool,
    /// Choose alpha, beta, kappa and tau by word error rate: for each half of the utterances on the other half, or on other lists
    #[arg(long, value_name = "halves|FILE")]
    pub tune: Option<Chosen>,
    /// Write a prompt for each list that the gate sends (without --tau, every list of more than one hypothesis), as JSON lines
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The text of prompts, with the places n, list and first in braces [default: the list and eight rules]
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Give the transformer the prompts as plain text, not as a user's message in the checkpoint's chat template
    #[arg(long, requires = "model")]
    pub plain: bool,
    /// A chat template instead of the checkpoint's, or a tokenizer_config.json that contains one
    #[arg(
        long,
        value_name = "FILE",
        requires = "model",
        conflicts_with = "plain"
    )]
    pub chat_template: Option<PathBuf>,
    /// The date to give to a chat template, as 2025-07-01; give it for a run that is to resume on another day [default: today's in UTC]
    #[arg(
        long,
        value_name = "DATE",
        requires = "model",
        conflicts_with = "plain"
    )]
    pub date: Option<DateTime>,
    /// Read corrections, one line {"id": ..., "correction": ...} each, and check them against the rules
    #[arg(long, value_name = "FILE")]
    pub corrections: Option<PathBuf>,
    /// What replaces a correction that breaks a rule [default: nearest]
    #[arg(long, value_enum)]
    repair: Option<RepairName>,
    /// Compare two transcripts, in two columns, with the references of the lists; nothing is corrected
    #[arg(
        long,
        value_names = ["FIRST", "SECOND"],
        num_args = 2,
        conflicts_with_all = [
            "costs", "mode", "trigrams", "model", "count", "alpha", "beta", "width", "theta", "tau", "kappa", "gate_alpha",
            "send_single", "tune", "prompts", "template", "corrections", "repair", "out",
        ]
    )]
    pub compare: Option<Vec<PathBuf>>,
    /// Number of resampled sets of utterances for intervals
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub replicates: u32,
    /// Seed of the resampling
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// A folder for asr-correction.csv, asr-gate.csv, a transcript of each mode and a manifest; keeps finished work of a
    /// transformer, so that a stopped run resumes
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start over and discard what an earlier run with this --out has finished
    #[arg(long, requires = "out")]
    pub fresh: bool,
    /// Write asr-utterances.jsonl: what happened to each list
    #[arg(long, requires = "out")]
    pub utterances: bool,
    /// Write lattices.jsonl: the word lattice of each list
    #[arg(long, requires = "out")]
    pub lattices: bool,
}

/// Makes the options of [`Opening`] need the transformer that they open.
fn needing_model(option: Arg) -> Arg {
    let opening = Opening::augment_args(Command::new("opening"));
    let mut opening = opening.get_arguments();
    match opening.any(|own| own.get_id() == option.get_id()) {
        true => option.requires("model"),
        false => option,
    }
}

/// The form of a file of lists.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// HyPoradise: [{"input": [...], "output": ..., "score": [...]}, ...]
    Json,
    /// ID TEXT
    Columns,
    /// ID-N TEXT
    Kaldi,
}

/// A normaliser by name.
#[derive(Clone, Copy, ValueEnum)]
pub enum NormaliserName {
    /// Words separated by spaces
    None,
    /// Lower case, letters, digits and apostrophes; single letters joined
    Norm,
    /// Whisper's English normaliser, without numbers
    WhisperEn,
}

impl NormaliserName {
    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Norm => "norm",
            Self::WhisperEn => "whisper-en",
        }
    }
}

/// A mode by name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// The recogniser's best hypothesis
    Best,
    /// The heaviest word in each slot of the word lattice
    Vote,
    /// The hypothesis with the highest score
    Select,
    /// The best path through the word lattice
    Lattice,
    /// Text written by the transformer, checked against the rules
    Generate,
    /// Text written by the transformer, limited to the words that the word lattice allows next
    Constrained,
}

impl ModeName {
    /// The mode of a system that searches; `None` if the transformer writes.
    fn mode(self) -> Option<Mode> {
        Some(match self {
            Self::Best => Mode::Best,
            Self::Vote => Mode::Vote,
            Self::Select => Mode::Select,
            Self::Lattice => Mode::Lattice,
            Self::Generate | Self::Constrained => return None,
        })
    }

    /// The name in outputs, if the transformer writes.
    fn written(self) -> Option<&'static str> {
        match self {
            Self::Generate => Some(System::GENERATE),
            Self::Constrained => Some(System::CONSTRAINED),
            _ => None,
        }
    }
}

/// A rule on the number of words.
#[derive(Clone, Copy, ValueEnum)]
pub enum CountName {
    /// Any number
    Free,
    /// As many as the best hypothesis has
    Keep,
}

impl CountName {
    /// The rule.
    pub fn rule(self) -> CountRule {
        match self {
            Self::Free => CountRule::Free,
            Self::Keep => CountRule::Keep,
        }
    }
}

/// What replaces a correction that breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RepairName {
    /// The nearest path of the word lattice
    Nearest,
    /// The best hypothesis
    Best,
    /// Nothing: the correction stays
    Never,
}

impl RepairName {
    /// The repair.
    fn repair(self) -> Repair {
        match self {
            Self::Nearest => Repair::Nearest,
            Self::Best => Repair::Best,
            Self::Never => Repair::Never,
        }
    }
}

/// The utterances that settings are chosen on.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// The other half of the same utterances.
    Halves,
    /// The utterances of another file.
    On(PathBuf),
}

impl FromStr for Chosen {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "halves" => Self::Halves,
            file => Self::On(file.into()),
        })
    }
}

impl Arguments {
    fn has_language_model(&self) -> bool {
        self.trigrams.is_some() || self.model.is_some()
    }

    /// The modes to run, the best hypothesis first.
    ///
    /// # Errors
    /// A mode needs a language model, but there is none.
    fn modes(&self) -> anyhow::Result<Vec<Mode>> {
        let has_language_model = self.has_language_model();
        let chosen: Vec<Mode> = self.mode.iter().filter_map(|name| name.mode()).collect();
        let wanted = |mode: &Mode| match self.mode.is_empty() {
            true => has_language_model || !mode.needs_language_model(),
            false => *mode == Mode::Best || chosen.contains(mode),
        };
        let modes: Vec<Mode> = Mode::ALL.iter().copied().filter(wanted).collect();
        for mode in &modes {
            ensure!(
                has_language_model || !mode.needs_language_model(),
                "--mode {} needs a language model; give --trigrams FILE or --model DIR",
                mode.name()
            );
        }
        Ok(modes)
    }

    /// The modes in which the transformer writes, without duplicates.
    ///
    /// # Errors
    /// There is no transformer, or an option was given and nothing uses it.
    fn written(&self) -> anyhow::Result<Vec<&'static str>> {
        let mut modes: Vec<&'static str> = Vec::new();
        for mode in self.mode.iter().filter_map(|name| name.written()) {
            ensure!(
                self.model.is_some(),
                "--mode {mode} needs a transformer that writes; give --model DIR"
            );
            if !modes.contains(&mode) {
                modes.push(mode);
            }
        }
        ensure!(
            self.repair.is_none() || self.corrections.is_some() || !modes.is_empty(),
            "--repair is for corrections; give --corrections FILE, --mode generate or --mode constrained"
        );
        for (option, is_given, can_be_used) in [
            (
                "--template",
                self.template.is_some(),
                self.prompts.is_some() || !modes.is_empty(),
            ),
            ("--plain", self.plain, !modes.is_empty()),
            (
                "--chat-template",
                self.chat_template.is_some(),
                !modes.is_empty(),
            ),
            ("--date", self.date.is_some(), !modes.is_empty()),
        ] {
            ensure!(
                !is_given || can_be_used,
                "{option} is for prompts; give --mode generate or --mode constrained (or, for --template, --prompts FILE)"
            );
        }
        Ok(modes)
    }

    /// Refuses options that none of the modes uses.
    fn check_used(&self, modes: &[Mode], written: &[&str]) -> anyhow::Result<()> {
        let scores = self.needs_scores(modes);
        let asks = modes.iter().any(|mode| mode.needs_language_model());
        let searches = modes.contains(&Mode::Lattice);
        let chooses = modes.iter().any(|mode| *mode != Mode::Best);
        for (option, is_given, is_used, needed) in [
            (
                "--trigrams",
                self.trigrams.is_some(),
                scores,
                "--mode select, --mode lattice or --gate-alpha",
            ),
            (
                "--model",
                self.model.is_some(),
                scores || !written.is_empty(),
                "--mode select, --mode lattice, --mode generate, --mode constrained or --gate-alpha",
            ),
            (
                "--prefix",
                !self.prefix.is_empty(),
                scores,
                "--mode select, --mode lattice or --gate-alpha",
            ),
            (
                "--alpha",
                self.alpha.is_some(),
                asks,
                "--mode select or --mode lattice",
            ),
            ("--beta", self.beta.is_some(), searches, "--mode lattice"),
            ("--width", self.width.is_some(), searches, "--mode lattice"),
            (
                "--tune",
                self.tune.is_some(),
                chooses,
                "--mode vote, --mode select or --mode lattice",
            ),
        ] {
            ensure!(
                !is_given || is_used,
                "{option} has no effect without {needed}; give that, or leave out {option}"
            );
        }
        Ok(())
    }

    /// The number of paths kept at each slot of a lattice.
    pub fn width(&self) -> usize {
        self.width.unwrap_or(32) as usize
    }

    /// Whether a language model's scores are needed.
    pub fn needs_scores(&self, modes: &[Mode]) -> bool {
        self.gate_alpha > 0.0 || modes.iter().any(|mode| mode.needs_language_model())
    }

    /// The gate.
    ///
    /// # Errors
    /// A setting is out of range or has no effect, or a language model has a weight but does not exist.
    pub fn gate(&self, scale: ScoreScale) -> anyhow::Result<Gate> {
        let mut gate = Gate::new(scale);
        gate.alpha = self.gate_alpha;
        gate.kappa = self.kappa.unwrap_or(gate.kappa);
        gate.send_single = self.send_single;
        gate.theta = self.theta.unwrap_or(gate.theta);
        gate.tau = self.tau.unwrap_or(gate.tau);
        gate.check()?;
        ensure!(
            self.kappa.is_none() || scale == ScoreScale::Absent,
            "--kappa has no effect on lists with scores; leave it out"
        );
        if gate.alpha > 0.0 && !self.has_language_model() {
            bail!("--gate-alpha needs a language model; give --trigrams FILE or --model DIR");
        }
        Ok(gate)
    }

    /// The settings for searching a lattice.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn decoder(&self, mode: Mode) -> anyhow::Result<Decoder> {
        let alpha = self.alpha.unwrap_or(match mode {
            Mode::Select => 0.35,
            Mode::Lattice => 0.7,
            _ => 0.0,
        });
        let beta = self.beta.unwrap_or(3.0);
        for (option, value) in [("alpha", alpha), ("beta", beta)] {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "--{option} {value}: expected a finite number of at least 0"
            );
        }
        let mut decoder = Decoder::default();
        (decoder.alpha, decoder.beta) = (alpha, beta);
        decoder.width = self.width();
        Ok(decoder)
    }

    /// What replaces a correction that breaks a rule.
    pub fn repair(&self) -> Repair {
        self.repair.unwrap_or(RepairName::Nearest).repair()
    }

    /// The additional outputs to write.
    ///
    /// # Errors
    /// As `Arguments::modes` and `Arguments::written`, or an option was given and no mode uses it.
    pub fn wanted(&self) -> anyhow::Result<Wanted> {
        let (modes, written) = (self.modes()?, self.written()?);
        self.check_used(&modes, &written)?;
        Ok(Wanted {
            modes,
            written,
            is_external: self.corrections.is_some(),
            count: self.count.rule(),
            is_gated: self.is_gated(),
            writes_gated: self.tau.is_some(),
            utterances: self.utterances,
            lattices: self.lattices,
        })
    }

    /// Whether to add rows without a gate.
    pub fn is_gated(&self) -> bool {
        self.tau.is_some() || self.tune.is_some()
    }
}
