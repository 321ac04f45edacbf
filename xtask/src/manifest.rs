//! The manifest: all inputs and settings that a result depends on.

use crate::experiments::core::harness;
use crate::experiments::core::models::Facts;
use crate::experiments::core::subject::Subject;
use crate::experiments::results::DRAWN_BY;
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::measurement::Measurement;
use crate::rounding::Rounding;
use crate::version;
use anyhow::{Context, ensure};
use layerwise::corpus::{self, Tokenizer};
use layerwise::files::{Folder, Links};
use layerwise::hub;
use layerwise::journal::{Divided, Merged, RunKey, Shard};
use layerwise::kernels::cpu_features;
use layerwise::report::ModelFacts;
use layerwise::schedule::Edit;
use layerwise::sweep::Described;
use layerwise::transformer::ModelConfig;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The manifest of one command.
#[derive(Serialize)]
pub struct Manifest {
    layerwise: &'static str,
    /// The version and commit that the program was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'static str>,
    command: Vec<String>,
    architecture: &'static str,
    system: &'static str,
    cpu_features: &'static str,
    /// The runs.
    pub runs: Vec<Run>,
    /// The labelled data that the user gave, file by file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labelled: Vec<FileHash>,
    /// The prompts that were continued, if the run read a file of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Prompts>,
    /// What the report says besides the tables.
    #[serde(rename = "report", skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Facts that have no influence on the results.
    execution: Execution,
}

/// A file of prompts, as a model read them.
#[derive(Serialize)]
pub struct Prompts {
    #[serde(flatten)]
    file: FileHash,
    tokenizer_sha256: Option<String>,
    /// Hash of everything that the continuations depend on.
    key: String,
}

impl Prompts {
    /// A file, the tokenizer that read it, and the key of the run.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn new(file: &Path, tokenizer: Option<&Tokenizer>, key: &RunKey) -> anyhow::Result<Self> {
        Ok(Self {
            file: FileHash::of_file(file)?,
            tokenizer_sha256: tokenizer.map(|tokenizer| tokenizer.sha256().to_owned()),
            key: key.as_str().to_owned(),
        })
    }
}

#[derive(Serialize)]
struct Execution {
    threads: usize,
    /// Load average of the machine over a minute, before and after the timed work.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_average: Option<[Option<f64>; 2]>,
    finished_unix_seconds: u64,
}

/// What the report says besides the tables; `draw` makes the report again from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reported {
    /// Names of the experiments, in the order of the report.
    pub experiments: Vec<String>,
    /// The models, in the order of the run.
    pub models: Vec<ReportedModel>,
    /// Facts of the run by name.
    pub provenance: Vec<(String, String)>,
}

/// A model, as the report describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportedModel {
    /// The model's name, which is also the name of the folder of its tables.
    pub name: String,
    family: String,
    layers: usize,
    parameters: u64,
    /// What kind of model it is, such as a toy; may be empty.
    #[serde(default)]
    kind: String,
    /// What a reader has to know about it first.
    #[serde(default)]
    about: String,
    /// The corpus and settings it ran on, by name.
    facts: Vec<(String, String)>,
}

/// The largest manifest that is read, in bytes.
const MOST_BYTES: u64 = 1 << 26;

impl Reported {
    /// The experiments, the models with what each was run on, and facts of the run.
    pub fn new(
        experiments: &[&str],
        models: impl Iterator<Item = (Facts, ModelFacts)>,
        provenance: Vec<(String, String)>,
    ) -> Self {
        let model = |(model, told): (Facts, ModelFacts)| ReportedModel {
            name: model.name,
            family: model.family,
            layers: model.layers,
            parameters: model.parameters,
            kind: told.kind,
            about: told.about,
            facts: told.facts,
        };
        Self {
            experiments: experiments.iter().map(ToString::to_string).collect(),
            models: models.map(model).collect(),
            provenance,
        }
    }

    /// Reads it from the manifest in a folder of results.
    ///
    /// # Errors
    /// The manifest is missing, belongs to another command, or names a model whose name cannot be a folder's.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Recorded {
            report: Option<Reported>,
        }
        let file = Folder::open(folder, Links::Refuse)?
            .file("manifest.json", "the manifest of `reproduce`")?;
        let path = file.path().display();
        let recorded: Recorded = serde_json::from_slice(&file.read_all(MOST_BYTES)?)
            .with_context(|| format!("{path}: not a manifest"))?;
        let reported = recorded.report.with_context(|| {
            format!("{path}: has no entry for a report; expected the manifest of `reproduce`")
        })?;
        for model in &reported.models {
            let parts: Vec<Component<'_>> = Path::new(&model.name).components().collect();
            ensure!(
                matches!(parts[..], [Component::Normal(name)] if name == model.name.as_str()),
                "{path}: model {:?}: expected the name of a folder",
                model.name
            );
        }
        Ok(reported)
    }

    /// Notes the version that draws, if another one measured.
    pub fn note_drawing(&mut self, version: &str) {
        let measured = ("layerwise".to_owned(), version.to_owned());
        if !self.provenance.contains(&measured) {
            let drawn = (DRAWN_BY.to_owned(), version.to_owned());
            self.provenance.push(drawn);
        }
    }

    /// The models.
    pub fn facts(&self) -> Vec<Facts> {
        let models = self.models.iter();
        models
            .map(|model| Facts {
                name: model.name.clone(),
                family: model.family.clone(),
                layers: model.layers,
                parameters: model.parameters,
            })
            .collect()
    }

    /// What a reader wants to know about each model.
    pub fn told(&self) -> Vec<ModelFacts> {
        let told = |model: &ReportedModel| ModelFacts {
            name: model.name.clone(),
            kind: model.kind.clone(),
            about: model.about.clone(),
            facts: model.facts.clone(),
        };
        self.models.iter().map(told).collect()
    }
}

/// The manifest of a table that `merge` made from shards. Each shard has a manifest of its own.
#[derive(Serialize)]
pub struct Joined {
    layerwise: &'static str,
    command: Vec<String>,
    /// The schedule that all are compared with, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<String>,
    runs: Vec<JoinedRun>,
    execution: JoinedExecution,
}

#[derive(Serialize)]
struct JoinedRun {
    key: String,
    model: String,
    sequences: usize,
    schedules: usize,
    shards: Vec<JoinedShard>,
}

#[derive(Serialize)]
struct JoinedShard {
    shard: String,
    sequences: usize,
    journal: String,
}

#[derive(Serialize)]
struct JoinedExecution {
    finished_unix_seconds: u64,
}

impl Joined {
    /// The manifest of this process.
    pub fn new<S>(runs: &[Merged<Described, Vec<S>>]) -> Self {
        let shard = |(journal, shard, sequences): &(PathBuf, Shard, usize)| JoinedShard {
            shard: shard.to_string(),
            sequences: *sequences,
            journal: journal.display().to_string(),
        };
        let run = |run: &Merged<Described, Vec<S>>| JoinedRun {
            key: run.description.key.as_str().to_owned(),
            model: run.description.name.clone(),
            sequences: run.description.units,
            schedules: run.description.about.schedules.len(),
            shards: run.parts.iter().map(shard).collect(),
        };
        Self {
            layerwise: version::VERSION,
            command: command(),
            baseline: None,
            runs: runs.iter().map(run).collect(),
            execution: JoinedExecution {
                finished_unix_seconds: unix_seconds(),
            },
        }
    }

    /// Adds the schedule that all are compared with.
    pub fn with_baseline(mut self, baseline: Option<&Edit>) -> Self {
        self.baseline = baseline.map(ToString::to_string);
        self
    }

    /// The manifest as indented JSON, with a final newline.
    ///
    /// # Errors
    /// The JSON writer fails.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// One model on one corpus.
#[derive(Serialize)]
pub struct Run {
    model: String,
    family: &'static str,
    layers: usize,
    width: usize,
    vocabulary: usize,
    precision: &'static str,
    folder: String,
    /// The commit of a snapshot in the Hugging Face cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    files: Vec<FileHash>,
    /// The text, if one was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<CorpusFile>,
    /// The text of another kind, for `shift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    shifted_corpus: Option<CorpusFile>,
    /// The file of pairs, if the model ran on pairs instead of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<FileHash>,
    /// The files of tasks, if tasks were scored instead of a text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<FileHash>,
    /// The token before each item of tasks, if one was put there.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_bos: Option<u32>,
    /// What stands before texts other than the corpus, if experiments read such texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_texts: Option<OtherTexts>,
    /// Values and tensors that edits take from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Sources>,
    /// The sweep, if there was one.
    #[serde(flatten)]
    sweep: Option<Sweep>,
}

/// What stands before texts other than the corpus, such as those of data sets.
#[derive(Serialize)]
pub struct OtherTexts {
    /// The token before each of them.
    bos: Option<u32>,
    /// The file, option or habit of the family that determines it.
    bos_source: String,
    /// The token before each item of tasks, by the rules of lm-evaluation-harness unless the user asks for another.
    tasks_bos: Option<u32>,
}

impl OtherTexts {
    /// What stands before such texts, as a model reads them; `bos_source` determines the token.
    ///
    /// # Errors
    /// The tokenizer puts several tokens before a text.
    pub fn of(subject: &Subject<'_>, bos_source: &str) -> anyhow::Result<Self> {
        let tasks_bos = match subject.tokenizer {
            Some(tokenizer) => harness::encoder(subject, tokenizer)?.bos(),
            None => None,
        };
        Ok(Self {
            bos: subject.bos,
            bos_source: bos_source.to_owned(),
            tasks_bos,
        })
    }
}

/// Values and tensors that edits take from elsewhere.
#[derive(Clone, Default, Serialize)]
pub struct Sources {
    /// The file of named tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vectors: Option<FileHash>,
    /// The tensors of that file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<String>,
    /// The text that means are taken over, if it is not the run's own text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<CorpusFile>,
    /// How many blocks and sites have means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_places: Option<usize>,
    /// The seed that chose, for each sequence, the one it is resampled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partners_seed: Option<u64>,
    /// The number of sequences that have no partner of their length, and are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequences_without_partner: Option<usize>,
}

impl Sources {
    /// Whether the edits take anything from elsewhere.
    pub fn says_something(&self) -> bool {
        self.vectors.is_some() || self.mean_places.is_some() || self.partners_seed.is_some()
    }
}

/// A sweep of one model on one corpus.
#[derive(Serialize)]
struct Sweep {
    key: String,
    /// The measured difference from f32; left out for a sweep in f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<Rounding>,
    sequences: usize,
    shard: String,
    until_se: Option<String>,
    until_se_reached: Option<bool>,
    /// The schedule that all are compared with, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<String>,
    schedules: usize,
    planned_steps: usize,
    naive_steps: usize,
    execution: RunExecution,
}

#[derive(Serialize)]
struct RunExecution {
    sequences_of_earlier_runs: usize,
    seconds: f64,
}

/// A file that results depend on.
#[derive(Clone, Serialize)]
pub struct FileHash {
    file: String,
    bytes: u64,
    sha256: String,
}

impl FileHash {
    /// One file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("{}: the file cannot be read", path.display());
        Ok(Self {
            bytes: fs::metadata(path).with_context(context)?.len(),
            sha256: corpus::sha256(path)?,
            file: path.display().to_string(),
        })
    }
}

/// A text, as one model reads it.
#[derive(Clone, Serialize)]
pub struct CorpusFile {
    file: String,
    /// The commit of a data set in the Hugging Face cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    sha256: String,
    tokenizer_sha256: Option<String>,
    bos: Option<u32>,
    bos_source: String,
    eos_left_out: Vec<u32>,
    context_tokens: usize,
    sequences: usize,
    tokens: usize,
    documents_read: usize,
    documents_cut: usize,
    skipped_short: usize,
    skipped_empty: usize,
}

impl Manifest {
    /// The manifest of this process.
    pub fn new(threads: usize) -> Self {
        Self {
            layerwise: version::VERSION,
            commit: version::COMMIT,
            command: command(),
            architecture: std::env::consts::ARCH,
            system: std::env::consts::OS,
            cpu_features: cpu_features(),
            runs: Vec::new(),
            labelled: Vec::new(),
            prompts: None,
            reported: None,
            execution: Execution {
                threads,
                load_average: None,
                finished_unix_seconds: unix_seconds(),
            },
        }
    }

    /// Adds the load averages before and after the timed work.
    pub fn with_load(mut self, before: Option<f64>, after: Option<f64>) -> Self {
        self.execution.load_average = Some([before, after]);
        self
    }

    /// The manifest as indented JSON, with a final newline.
    ///
    /// # Errors
    /// The JSON writer fails.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Run {
    /// A model, and the text that it reads.
    pub fn new(opened: &OpenedModel, corpus: &OpenedCorpus) -> Self {
        Self {
            corpus: Some(CorpusFile::new(corpus)),
            ..Self::of_model(opened)
        }
    }

    /// A model that reads no text.
    pub fn of_model(opened: &OpenedModel) -> Self {
        let config: &ModelConfig = opened.model.config();
        let name = |path: &PathBuf| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        Self {
            model: opened.name.clone(),
            family: config.family.model_type(),
            layers: config.layers,
            width: config.model,
            vocabulary: config.vocab,
            precision: opened.model.precision().name(),
            folder: opened.folder.display().to_string(),
            commit: hub::commit_of(&opened.folder),
            files: opened
                .files
                .iter()
                .map(|(path, bytes, sha256)| FileHash {
                    file: name(path),
                    bytes: *bytes,
                    sha256: sha256.clone(),
                })
                .collect(),
            corpus: None,
            shifted_corpus: None,
            pairs: None,
            tasks: Vec::new(),
            tasks_bos: None,
            other_texts: None,
            sources: None,
            sweep: None,
        }
    }

    /// Adds the text of another kind.
    pub fn with_shifted(mut self, corpus: Option<&OpenedCorpus>) -> Self {
        self.shifted_corpus = corpus.map(CorpusFile::new);
        self
    }

    /// The sweep's measured difference from f32; `None` without a sweep, or if it ran in f32.
    pub fn rounding(&self) -> Option<&Rounding> {
        self.sweep.as_ref()?.rounding.as_ref()
    }

    /// Adds the pairs that the model runs on instead of a text.
    pub fn with_pairs(mut self, pairs: &FileHash) -> Self {
        self.pairs = Some(pairs.clone());
        self
    }

    /// Adds the files of tasks that were scored instead of a text, and the token before each item.
    pub fn with_tasks(mut self, files: &[FileHash], bos: Option<u32>) -> Self {
        self.tasks = files.to_vec();
        self.tasks_bos = bos;
        self
    }

    /// Adds what stands before texts other than the corpus.
    pub fn with_other_texts(mut self, texts: Option<OtherTexts>) -> Self {
        self.other_texts = texts;
        self
    }

    /// Adds values and tensors that edits take from elsewhere.
    pub fn with_sources(mut self, sources: Option<&Sources>) -> Self {
        self.sources = sources.cloned();
        self
    }

    /// Adds a sweep on the text.
    pub fn with_sweep<S>(mut self, measurement: &Measurement<S>) -> Self {
        self.sweep = Some(Sweep {
            key: measurement.key.as_str().to_owned(),
            rounding: measurement.rounding.clone(),
            sequences: measurement.sequences,
            shard: measurement.portion.shard.to_string(),
            until_se: measurement
                .portion
                .until_se
                .as_ref()
                .map(|target| target.to_string()),
            until_se_reached: measurement.reached,
            baseline: None,
            schedules: measurement.plan.entries().len(),
            planned_steps: measurement.plan.planned_steps(),
            naive_steps: measurement.plan.naive_steps(),
            execution: RunExecution {
                sequences_of_earlier_runs: measurement.resumed,
                seconds: measurement.elapsed.as_secs_f64(),
            },
        });
        self
    }

    /// Adds the schedule that all of the sweep are compared with.
    pub fn with_baseline(mut self, baseline: Option<&Edit>) -> Self {
        if let Some(sweep) = &mut self.sweep {
            sweep.baseline = baseline.map(ToString::to_string);
        }
        self
    }
}

impl CorpusFile {
    /// The recorded facts about it.
    pub fn new(corpus: &OpenedCorpus) -> Self {
        let skipped = corpus.corpus.skipped();
        Self {
            file: corpus.path.display().to_string(),
            commit: hub::commit_of_file(&corpus.path),
            sha256: corpus.sha256.clone(),
            tokenizer_sha256: corpus.tokenizer_sha256.clone(),
            bos: corpus.options.bos.id(),
            bos_source: corpus.bos_source.clone(),
            eos_left_out: corpus.eos_left_out.clone(),
            context_tokens: corpus.options.context,
            sequences: corpus.corpus.sequences().len(),
            tokens: corpus.corpus.tokens(),
            documents_read: corpus.corpus.documents(),
            documents_cut: corpus.corpus.cut(),
            skipped_short: skipped.short,
            skipped_empty: skipped.empty,
        }
    }
}

/// The load average of the machine over a minute; `None` if the system does not report one.
pub fn load_average() -> Option<f64> {
    let told = fs::read_to_string("/proc/loadavg").ok()?;
    told.split_whitespace().next()?.parse().ok()
}

/// How this process was started, for the folder of a share.
///
/// # Errors
/// The current folder no longer exists.
pub fn divided() -> anyhow::Result<Divided> {
    let folder = std::env::current_dir().context("the current folder cannot be determined")?;
    Ok(Divided::new(version::VERSION, folder, command()))
}

/// The arguments of this process, with U+FFFD for bytes that are not UTF-8.
fn command() -> Vec<String> {
    let arguments = std::env::args_os().skip(1);
    arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}
