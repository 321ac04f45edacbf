//! Files of pairs of prompts, for activation patching.

use crate::arguments::Inputs;
use crate::inputs::{self, OpenedModel};
use crate::manifest::FileHash;
use anyhow::{Context, anyhow, bail, ensure};
use layerwise::corpus::{self, Bos, MIN_TOKENS, Tokenizer};
use layerwise::sweep::{Held, Pair};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

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
        let mut reading = Reading {
            path: path.to_owned(),
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
            let pair = reading.pair(line);
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

struct Reading<'a> {
    path: PathBuf,
    opened: &'a OpenedModel,
    inputs: &'a Inputs,
    /// The tokenizer and the token before each text, opened when the first text is read.
    tokenizer: Option<(Tokenizer, Bos)>,
}

impl Reading<'_> {
    fn pair(&mut self, line: &str) -> anyhow::Result<Pair> {
        let object: Map<String, Value> = corpus::json_line(line).map_err(|error| {
            anyhow!("expected a JSON object: {}", corpus::error_in_line(&error))
        })?;
        if let Some(unknown) = object
            .keys()
            .find(|key| !["clean", "corrupted", "answer", "wrong"].contains(&key.as_str()))
        {
            bail!(
                "unknown key `{unknown:.100}`; expected `clean`, `corrupted`, `answer` and `wrong`"
            );
        }
        let clean = self.sequence(&object, "clean")?;
        let corrupted = self.sequence(&object, "corrupted")?;
        ensure!(
            clean.len() == corrupted.len(),
            "expected the same number of tokens on both sides, found {} in `clean` and {} in `corrupted`",
            clean.len(),
            corrupted.len()
        );
        let config = self.opened.model.config();
        ensure!(
            (MIN_TOKENS..=config.context).contains(&clean.len()),
            "expected {MIN_TOKENS} to {} tokens on each side, found {}",
            config.context,
            clean.len()
        );
        let answer = self.token(&object, "answer")?;
        let wrong = self.token(&object, "wrong")?;
        ensure!(
            answer.is_some() || wrong.is_none(),
            "found `wrong` without `answer`; give both, since `answer` is compared with `wrong`"
        );
        Ok(Pair::new(clean, corrupted).deciding(answer, wrong))
    }

    fn sequence(&mut self, object: &Map<String, Value>, key: &str) -> anyhow::Result<Vec<u32>> {
        let value = object
            .get(key)
            .with_context(|| format!("expected `{key}`"))?;
        match value {
            Value::String(text) => {
                let (tokenizer, bos) = self.tokenizer()?;
                inputs::prompt_after(*bos, text, tokenizer)
            }
            value => self.ids(value, key),
        }
    }

    fn token(&mut self, object: &Map<String, Value>, key: &str) -> anyhow::Result<Option<u32>> {
        let ids = match object.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => self.tokenizer()?.0.encode(text)?,
            Some(value @ Value::Number(_)) => vec![self.id(value, key)?],
            Some(value) => self.ids(value, key)?,
        };
        match ids[..] {
            [id] => Ok(Some(id)),
            _ => bail!(
                "`{key}` is {} tokens, {ids:?}; expected the one token that follows the prompt; give its id, or a text of one token (with most tokenizers the space before a word is part of the token)",
                ids.len()
            ),
        }
    }

    fn ids(&self, value: &Value, key: &str) -> anyhow::Result<Vec<u32>> {
        let ids = value.as_array().with_context(|| {
            format!("`{key}`: expected a text or a list of token ids, found {value:.100}")
        })?;
        ids.iter().map(|id| self.id(id, key)).collect()
    }

    fn id(&self, value: &Value, key: &str) -> anyhow::Result<u32> {
        let vocab = self.opened.model.config().vocab;
        let id = value.as_u64().filter(|id| *id < vocab as u64);
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.with_context(|| format!("`{key}`: expected token ids below {vocab}, found {value:.100}"))
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
