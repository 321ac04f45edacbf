//! Files of pairs of prompts, for activation patching.

use crate::arguments::Inputs;
use crate::inputs::{self, OpenedModel};
use crate::manifest::FileHash;
use anyhow::{Context, ensure};
use layerwise::corpus::{self, Bos, Tokenizer};
use layerwise::sweep::{Held, Pair};
use layerwise::tasks::{self, PairText};
use std::path::Path;

/// The most memory that a line takes besides its tokens, in bytes.
const LINE_BYTES: u64 = 512;

/// Pairs, encoded for one model.
pub struct OpenedPairs {
    /// The file, as the manifest records it.
    pub file: FileHash,
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// The corrupted sides, which are the sequences that run.
    pub corrupted: Vec<Vec<u32>>,
    _memory: Held,
}

impl OpenedPairs {
    /// Reads a file of pairs. Each line is a JSON object with `clean` and `corrupted` and, if known, `answer` and `wrong`, each a
    /// text or token ids.
    ///
    /// # Errors
    /// The file cannot be read, or a line does not fit the model; the message names the line.
    pub fn open(path: &Path, opened: &OpenedModel, inputs: &Inputs) -> anyhow::Result<Self> {
        let text = corpus::read_text(path)?;
        let what = format!("{}: the pairs of {}", opened.name, path.display());
        let budget = &opened.budget;
        // In the worst case every byte is a token, on both sides of the pair.
        let mut memory = budget.hold(&what, (text.len() as u64).saturating_mul(10))?;
        let config = opened.model.config();
        let mut texts = Texts {
            path,
            opened,
            inputs,
            tokenizer: None,
        };
        let mut pairs = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            if inputs.rows.is_some_and(|rows| pairs.len() == rows) {
                break;
            }
            let pair = tasks::read_pair(line, config.context, config.vocab, &mut |text| {
                texts.encode(text)
            });
            pairs.push(pair.with_context(|| format!("{}: line {}", path.display(), at + 1))?);
        }
        ensure!(
            !pairs.is_empty(),
            "{}: expected a pair on each line, found none",
            path.display()
        );
        let tokens: usize = pairs.iter().map(|pair| 3 * pair.clean.len()).sum();
        memory.shrink_to(4 * tokens as u64 + LINE_BYTES * pairs.len() as u64);
        Ok(Self {
            file: FileHash::of_file(path)?,
            corrupted: corrupted(&pairs),
            pairs,
            _memory: memory,
        })
    }

    /// Keeps the pairs whose index `keep` admits.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut index = 0;
        self.pairs.retain(|_| {
            index += 1;
            keep(index - 1)
        });
        self.corrupted = corrupted(&self.pairs);
    }
}

fn corrupted(pairs: &[Pair]) -> Vec<Vec<u32>> {
    pairs.iter().map(|pair| pair.corrupted.clone()).collect()
}

/// What encodes the texts of pairs.
struct Texts<'a> {
    path: &'a Path,
    opened: &'a OpenedModel,
    inputs: &'a Inputs,
    /// The tokenizer and the token before each text, opened when the first text is read.
    tokenizer: Option<(Tokenizer, Bos)>,
}

impl Texts<'_> {
    fn encode(&mut self, text: PairText<'_>) -> anyhow::Result<Vec<u32>> {
        let (tokenizer, bos) = self.tokenizer()?;
        match text {
            PairText::Prompt(text) => inputs::prompt_after(*bos, text, tokenizer),
            PairText::Next(text) => Ok(tokenizer.encode(text)?),
        }
    }

    /// The model's tokenizer, and the token before each text.
    fn tokenizer(&mut self) -> anyhow::Result<&(Tokenizer, Bos)> {
        if self.tokenizer.is_none() {
            let tokenizer = inputs::open_tokenizer(self.opened)?.with_context(|| {
                format!(
                    "{}: has no tokenizer.json to read text with; give token ids",
                    self.opened.name
                )
            })?;
            let file = self.path.file_name().unwrap_or_default();
            let text = format!("each prompt of {}", file.to_string_lossy());
            let (bos, _) =
                inputs::beginning(self.inputs.bos, &text, self.opened, Some(&tokenizer))?;
            self.tokenizer = Some((tokenizer, bos));
        }
        Ok(self.tokenizer.as_ref().expect("it was opened above"))
    }
}
