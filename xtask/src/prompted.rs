//! A model and a prompt, for the commands that look at what the model expects next.

use crate::arguments::{Bos, Inputs};
use crate::inputs::{self, OpenedModel};
use crate::output;
use anstyle::{AnsiColor, Style};
use anyhow::{Context, anyhow};
use layerwise::corpus::Tokenizer;
use layerwise::metrics::distribution::{self, Likely};
use layerwise::schedule::{Edit, Schedule};
use ndarray::ArrayView1;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of such commands.
#[derive(clap::Args)]
// The commands that take these have a group of this name of their own.
#[group(skip)]
pub struct Arguments {
    /// An embedded model's name, a checkpoint folder, or the name of a model of the Hugging Face hub that its cache holds
    #[arg(value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// Fetch a model that is named ORG/NAME and is not in the Hugging Face cache, by its tool `hf`
    #[arg(long)]
    fetch: bool,
    /// The text whose next token is asked for
    prompt: String,
    /// One line of JSON for each row
    #[arg(long)]
    pub json: bool,
    /// The token put before the prompt: the family's own, none, or an id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    /// Keep packed weights in this folder, and start from them the next time
    #[arg(long, value_name = "DIR")]
    pack_cache: Option<PathBuf>,
    /// Follow links in the model's folder wherever they lead
    #[arg(long)]
    follow_links: bool,
    /// Refuse what would need more memory, as 500M or 24G [default: what the machine has left]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<crate::memory::Size>,
}

/// An opened model with its prompt.
pub struct Prompted {
    /// The model.
    pub opened: OpenedModel,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The token ids of the prompt, with what stands before it.
    pub ids: Vec<u32>,
}

/// A token that may come next.
#[derive(Serialize)]
pub struct Shown {
    /// The token's id.
    pub token: u32,
    /// What it adds to the prompt.
    pub text: String,
    /// Its probability.
    pub probability: f64,
}

impl Prompted {
    /// Opens the model and reads the prompt with its tokenizer.
    ///
    /// # Errors
    /// A model that cannot be opened, one without tokenizer, or a prompt that is empty.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let opened = inputs::open_one(&Inputs {
            fetch: arguments.fetch,
            pack_cache: arguments.pack_cache.clone(),
            follow_links: arguments.follow_links,
            max_memory: arguments.max_memory,
            ..Inputs::of_model(&arguments.model)
        })?;
        let tokenizer = inputs::open_tokenizer(&opened)?.ok_or_else(|| {
            anyhow!(
                "{} has no tokenizer.json to read the prompt with; `generate --ids` takes token ids",
                opened.name
            )
        })?;
        let ids = inputs::prompt(&arguments.prompt, arguments.bos, &opened, &tokenizer)?;
        Ok(Self {
            opened,
            tokenizer,
            ids,
        })
    }

    /// The schedule of an edit of the plain model.
    ///
    /// # Errors
    /// An edit that the model's blocks do not allow.
    pub fn schedule(&self, edit: &Edit) -> anyhow::Result<Schedule> {
        let plain = Schedule::plain(self.opened.model.stack())?;
        edit.apply(&plain).with_context(|| format!("--edit {edit}"))
    }

    /// The most likely next tokens by a row of logits \[vocab\].
    ///
    /// # Errors
    /// Ids that the tokenizer cannot decode.
    pub fn likely(
        &self,
        logits: ArrayView1<'_, f32>,
        count: NonZeroUsize,
    ) -> anyhow::Result<Vec<Shown>> {
        // Tokenizers may strip a space from the beginning of a text, and a token by itself is one.
        let before = &self.ids[self.ids.len() - 1..];
        let beginning = self.tokenizer.decode(before)?;
        let shown = |Likely {
                         token, probability, ..
                     }| {
            let whole = self.tokenizer.decode(&[before, &[token]].concat())?;
            let text = match whole.strip_prefix(&beginning) {
                Some(text) => text.to_owned(),
                None => self.tokenizer.decode(&[token])?,
            };
            Ok(Shown {
                token,
                text,
                probability,
            })
        };
        let likely = distribution::top(logits, count.get())?;
        likely.into_iter().map(shown).collect()
    }
}

impl Shown {
    /// The text in quotes and the probability, in columns; `answer` is the token that the plain model would choose.
    pub fn cell(&self, answer: u32) -> String {
        let style = match self.token == answer {
            true => AnsiColor::Green.on_default().bold(),
            false if self.probability < 0.1 => Style::new().dimmed(),
            false => Style::new(),
        };
        let text = output::plain(&format!("{:?}", self.text));
        let text = match text.chars().count() > WIDTH {
            true => text.chars().take(WIDTH - 1).chain(['…']).collect(),
            false => text,
        };
        format!("{style}{text:<WIDTH$} {:.3}{style:#}", self.probability)
    }
}

/// The characters of a token that are shown.
const WIDTH: usize = 12;

/// The columns that [`Shown::cell`] takes.
pub const CELL: usize = WIDTH + 6;
