//! A model and a prompt, for the commands that show which next token the model expects.

use crate::arguments::{Bos, Opening};
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

/// Options that these commands share.
#[derive(clap::Args)]
// Commands that flatten these options have a group of this name of their own.
#[group(skip)]
pub struct Arguments {
    /// An embedded model's name, a checkpoint folder, or ORG/NAME of a model in the Hugging Face cache
    #[arg(value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// The text to predict the next token of
    prompt: String,
    /// Print one line of JSON for each row
    #[arg(long)]
    pub json: bool,
    /// The token before the prompt: as the checkpoint's tokenizer says (auto), none, or a token id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    #[command(flatten)]
    opening: Opening,
}

/// An opened model and a prompt.
pub struct Prompted {
    /// The model.
    pub opened: OpenedModel,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The token ids of the prompt, with the token before it.
    pub ids: Vec<u32>,
}

/// A possible next token.
#[derive(Serialize)]
pub struct Shown {
    /// The token's id.
    pub token: u32,
    /// The text it adds to the prompt.
    pub text: String,
    /// Its probability.
    pub probability: f64,
}

impl Prompted {
    /// Opens the model and reads the prompt with its tokenizer.
    ///
    /// # Errors
    /// The model cannot be opened or has no tokenizer, or the prompt is empty.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let opened = inputs::open_one(&arguments.model, "", &arguments.opening)?;
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
    /// The model's blocks do not allow the edit.
    pub fn schedule(&self, edit: &Edit) -> anyhow::Result<Schedule> {
        let plain = Schedule::plain(self.opened.model.stack())?;
        edit.apply(&plain).with_context(|| format!("--edit {edit}"))
    }

    /// The most likely next tokens for a row of logits \[vocab\].
    ///
    /// # Errors
    /// The tokenizer cannot decode an id.
    pub fn likely(
        &self,
        logits: ArrayView1<'_, f32>,
        count: NonZeroUsize,
    ) -> anyhow::Result<Vec<Shown>> {
        let before = self.ids[self.ids.len() - 1];
        let shown = |Likely {
                         token, probability, ..
                     }| {
            let text = self.tokenizer.added(before, token)?;
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
    /// The text in quotes and the probability, in columns. `answer` is the plain model's first choice.
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

/// The most characters of a token that are shown.
const WIDTH: usize = 12;

/// The width of [`Shown::cell`] in columns.
pub const CELL: usize = WIDTH + 6;
