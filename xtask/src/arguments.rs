//! Options that several commands share.

use crate::memory::Size;
use crate::trial::Trial;
use clap::Args;
use layerwise::sweep::{Statistic, SweepError, Target};
use layerwise::transformer::Precision;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

/// How models are opened.
#[derive(Args, Clone, Debug, Default)]
pub struct Opening {
    /// Download models and data sets that are named ORG/NAME and missing into the Hugging Face cache, with the tool `hf`
    #[arg(long)]
    pub fetch: bool,
    /// Read weights into memory instead of mapping their files: safe even if a file changes during the run, but uses more
    /// memory
    #[arg(long)]
    pub no_mmap: bool,
    /// Leave the blocks of models in their files and read each block when it runs: for models larger than memory [default:
    /// only if the weights do not fit into --max-memory]
    #[arg(long)]
    pub stream: bool,
    /// Keep packed weights in this folder, and map them at the next start instead of reading, checking and packing the
    /// checkpoint again. Each model and number format takes as much room as its weights in --precision. The hash of a large
    /// file is remembered as long as its size, inode and times stay the same
    #[arg(long, value_name = "DIR", conflicts_with_all = ["no_mmap", "stream"])]
    pub pack_cache: Option<PathBuf>,
    /// Follow links out of a model's folder. Links to its own files and to blobs of its Hugging Face cache are always
    /// followed
    #[arg(long)]
    pub follow_links: bool,
    /// The number format of weight matrices and of the activations they multiply; sums stay in f32. bf16 needs a CPU with
    /// AVX512-BF16; a run over a text measures and prints its difference from f32
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = precision)]
    pub precision: Precision,
    /// Refuse anything that would need more memory than this, such as 500M or 24G [default: the memory that is free]
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<Size>,
}

/// The models, and the text they run on.
#[derive(Args, Clone, Debug)]
pub struct Inputs {
    /// The name of an embedded model, or a checkpoint folder in the Hugging Face layout (write ./NAME for a folder that has
    /// the name of an embedded model); LABEL=DIR gives it a label in the results; repeatable, except in `activations`
    /// [default: the embedded models]
    ///
    /// ORG/NAME or ORG/NAME@REVISION names a model on the Hugging Face hub, which is taken from the Hugging Face cache
    #[arg(long, value_name = "NAME|DIR|ORG/NAME|LABEL=…")]
    pub model: Vec<String>,
    /// A file of text (.txt, .raw), documents (.jsonl, one a line, or .json, an array), any of these also as .gz, a column of
    /// documents (.parquet), or token ids (.npy); NAME:CONFIG:SPLIT:FIELD names a data set in the Hugging Face cache
    /// [default: the embedded text]
    #[arg(long, value_name = "FILE|NAME:CONFIG:SPLIT:FIELD")]
    pub corpus: Option<PathBuf>,
    /// Take the first N usable sequences
    #[arg(long, value_name = "N")]
    pub rows: Option<usize>,
    /// Tokens of a sequence, BOS included [default: 512, or the model's maximum if that is less]
    #[arg(long, value_name = "T")]
    pub context: Option<usize>,
    /// Take at most N tokens [default: all; without --rows 20000 for `reproduce`, and 4096 for `fastest` and for the means of
    /// `sweep --tasks`]
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,
    /// The token before each text: as the checkpoint's tokenizer says (auto), none, or a token id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    pub bos: Bos,
    /// The field of a .jsonl line, or the column of a .parquet file, that contains the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub field: String,
    /// How the models are opened.
    #[command(flatten)]
    pub opening: Opening,
}

impl Inputs {
    /// The embedded text, with this token before it.
    pub fn embedded(bos: Bos) -> Self {
        Self {
            model: Vec::new(),
            corpus: None,
            rows: None,
            context: None,
            tokens: None,
            bos,
            field: "text".to_owned(),
            opening: Opening::default(),
        }
    }

    /// An option of those that choose and cut the text, if one is given.
    pub fn option_of_text(&self) -> Option<&'static str> {
        let given = [
            ("--corpus", self.corpus.is_some()),
            ("--rows", self.rows.is_some()),
            ("--tokens", self.tokens.is_some()),
            // The last, because it also applies to a reference text.
            ("--context", self.context.is_some()),
        ];
        let first = given.into_iter().find(|(_, is_given)| *is_given);
        first.map(|(option, _)| option)
    }
}

/// How a run is carried out; none of these options changes a result.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// Start over and discard what an earlier run has finished
    #[arg(long)]
    pub fresh: bool,
    /// Run only the first items, to see how long all of them would take.
    #[arg(skip)]
    pub trial: Option<&'static Trial>,
}

impl Run {
    /// A run in which nothing is kept that could be discarded.
    pub fn unkept(threads: Option<NonZeroUsize>) -> Self {
        Self {
            threads,
            fresh: false,
            trial: None,
        }
    }

    /// The number of worker threads.
    pub fn threads(&self) -> NonZeroUsize {
        threads_or_cores(self.threads)
    }
}

/// As many threads as were asked for, or one for each core.
pub(crate) fn threads_or_cores(given: Option<NonZeroUsize>) -> NonZeroUsize {
    given
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// The program treats a larger number of threads as a typing error.
const MAX_THREADS: usize = 1024;

pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= MAX_THREADS)
        .ok_or_else(|| format!("expected a number from 1 to {MAX_THREADS}"))
}

pub(crate) fn precision(text: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.name() == text)
        .ok_or_else(|| "expected f32 or bf16".to_owned())
}

/// The value of `--bos`.
#[derive(Clone, Copy, Debug)]
pub enum Bos {
    /// The token that the checkpoint's tokenizer, or else the model family, puts before a text.
    Auto,
    /// No token.
    None,
    /// The token with this id.
    Id(u32),
}

impl Bos {
    /// Whether the user names a token, or asks for none.
    pub fn is_asked(self) -> bool {
        !matches!(self, Self::Auto)
    }
}

impl FromStr for Bos {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            _ => text
                .parse()
                .map(Self::Id)
                .map_err(|_| "expected auto, none or a token id".to_owned()),
        }
    }
}

/// A target for the standard error of one statistic of a sweep.
///
/// # Errors
/// The text is not of the form STATISTIC=ERROR, or names an unknown statistic.
pub fn target(text: &str) -> Result<Target, SweepError> {
    let target: Target = text.parse()?;
    target.statistic.parse::<Statistic>()?;
    Ok(target)
}
