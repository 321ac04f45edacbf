//! Scores of sentences, as a language model gives them.

use crate::RescoringError;
use crate::trie::Trie;
use layerwise_corpus::Tokenizer;
use layerwise_schedule::Schedule;
use layerwise_transcripts::{LanguageModel, LanguageScore};
use layerwise_transformer::{Model, ModelConfig, Workspace};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Rows of one batch, about: enough for the products, and few enough for the caches.
const BATCH_ROWS: usize = 256;

/// What stands around each sentence, and how the work is carried out.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options<'a> {
    bos: Option<u32>,
    prefix: &'a str,
    end_token: Option<u32>,
    threads: NonZeroUsize,
    stop: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            bos: None,
            prefix: "",
            end_token: None,
            threads: NonZeroUsize::MIN,
            stop: None,
        }
    }
}

impl<'a> Options<'a> {
    /// Nothing around a sentence, on one thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token before each sentence, and before the prefix.
    pub fn bos(mut self, token: Option<u32>) -> Self {
        self.bos = token;
        self
    }

    /// Text before each sentence that the model sees and that is not scored, as a word on the domain; blanks at its end
    /// are dropped.
    pub fn prefix(mut self, text: &'a str) -> Self {
        self.prefix = text.trim_end();
        self
    }

    /// A token that is scored at the end of each sentence.
    pub fn end_token(mut self, token: Option<u32>) -> Self {
        self.end_token = token;
        self
    }

    /// Threads that share out the batches of a request; no score depends on their number.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Work ends with [`RescoringError::Interrupted`] soon after this is set.
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }
}

/// A transformer as a language model of words.
///
/// A sentence is its words joined by blanks, after BOS and a prefix where there are some; its score is the sum of the
/// log-probabilities of its tokens, in nats. Scores are kept, so that a sentence is run once.
///
/// ```no_run
/// use layerwise_corpus::Tokenizer;
/// use layerwise_rescoring::{Options, Scorer};
/// use layerwise_transcripts::LanguageModel;
/// use layerwise_transformer::Model;
///
/// # fn score(model: &Model, tokenizer: &Tokenizer) -> Result<(), layerwise_rescoring::RescoringError> {
/// let mut scorer = Scorer::new(model, tokenizer, Options::new().prefix("Flights."))?;
/// let scores = scorer.sentences(&[vec!["show", "me", "flights"], vec!["show", "me", "fights"]])?;
/// println!("{} against {} nats", scores[0].log_probability, scores[1].log_probability);
/// # Ok(())
/// # }
/// ```
pub struct Scorer<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    options: Options<'a>,
    plain: Schedule,
    /// Tokens of BOS and the prefix.
    start: Vec<u32>,
    /// What was scored, with the score of the end.
    known: HashMap<Rc<str>, [LanguageScore; 2]>,
}

/// The words so far, and their score.
#[derive(Clone)]
pub struct Prefix {
    text: Rc<str>,
    score: LanguageScore,
}

impl<'a> Scorer<'a> {
    /// A language model that has scored nothing yet.
    ///
    /// # Errors
    /// [`RescoringError::Token`] for BOS or the end token, or a prefix that the tokenizer refuses.
    pub fn new(
        model: &'a Model,
        tokenizer: &'a Tokenizer,
        options: Options<'a>,
    ) -> Result<Self, RescoringError> {
        let mut start: Vec<u32> = options.bos.into_iter().collect();
        start.extend(tokenizer.encode(options.prefix)?);
        let vocab = model.config().vocab;
        for token in start.iter().copied().chain(options.end_token) {
            if token as usize >= vocab {
                return Err(RescoringError::Token { token, vocab });
            }
        }
        Ok(Self {
            model,
            tokenizer,
            plain: Schedule::plain(model.stack())?,
            start,
            options,
            known: HashMap::new(),
        })
    }

    /// About the most memory that one thread takes, in bytes.
    pub fn worker_bytes(config: &ModelConfig) -> usize {
        // A sentence may be longer than what is left of a batch.
        let rows = BATCH_ROWS + config.context.min(2048);
        let states = 4 * rows * config.model * size_of::<f32>();
        Workspace::most_bytes(config, rows) + states
    }

    /// The tokens of a sentence, with what stands before it.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, RescoringError> {
        let prefix = self.options.prefix;
        let whole = match (prefix, text) {
            ("", text) => text.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, text) => format!("{prefix} {text}"),
        };
        let mut tokens: Vec<u32> = self.options.bos.into_iter().collect();
        tokens.extend(self.tokenizer.encode(&whole)?);
        if !tokens.starts_with(&self.start) {
            return Err(RescoringError::Prefix {
                prefix: prefix.to_owned(),
                sentence: text.to_owned(),
            });
        }
        let context = self.model.config().context;
        match tokens.len() > context {
            true => Err(RescoringError::Length {
                sentence: text.to_owned(),
                found: tokens.len(),
                context,
            }),
            false => Ok(tokens),
        }
    }

    /// Scores the sentences that are not known yet.
    fn score(&mut self, texts: &[Rc<str>]) -> Result<(), RescoringError> {
        let mut fresh: Vec<(Rc<str>, Vec<u32>)> = Vec::new();
        for text in texts {
            if !self.known.contains_key(text) {
                // Told apart from what is scored by the entry that follows.
                self.known
                    .insert(Rc::clone(text), [LanguageScore::default(); 2]);
                fresh.push((Rc::clone(text), self.tokens(text)?));
            }
        }
        let sentences: Vec<&[u32]> = fresh.iter().map(|(_, tokens)| tokens.as_slice()).collect();
        let mut tries: Vec<Vec<&[u32]>> = Vec::new();
        let mut rows = BATCH_ROWS;
        for (at, sentence) in sentences.iter().enumerate() {
            let before = at
                .checked_sub(1)
                .map_or(&[][..], |before| sentences[before]);
            let shared = sentence
                .iter()
                .zip(before)
                .take_while(|(a, b)| a == b)
                .count();
            if rows >= BATCH_ROWS {
                tries.push(Vec::new());
                rows = 0;
            }
            rows += sentence.len() - shared;
            if let Some(trie) = tries.last_mut() {
                trie.push(*sentence);
            }
        }
        let scores = self.run(&tries)?;
        for ((text, _), score) in fresh.into_iter().zip(scores.into_iter().flatten()) {
            self.known.insert(text, score);
        }
        Ok(())
    }

    /// Runs tries of sentences on all threads.
    fn run(&self, tries: &[Vec<&[u32]>]) -> Result<Vec<Vec<[LanguageScore; 2]>>, RescoringError> {
        let next = AtomicUsize::new(0);
        let (model, plain) = (self.model, &self.plain);
        let (unscored, options) = (self.start.len(), &self.options);
        let work = || {
            let mut done: Vec<(usize, Vec<[LanguageScore; 2]>)> = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(trie) = tries.get(at) else {
                    return Ok::<_, RescoringError>(done);
                };
                if options
                    .stop
                    .is_some_and(|stop| stop.load(Ordering::Relaxed))
                {
                    return Err(RescoringError::Interrupted {
                        finished: at,
                        all: tries.len(),
                    });
                }
                let trie = Trie::new(trie);
                done.push((at, trie.score(model, plain, unscored, options.end_token)?));
            }
        };
        let finished = thread::scope(|scope| {
            let others: Vec<_> = (1..options.threads.get().min(tries.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut finished = work()?;
            for other in others {
                finished.extend(other.join().expect("a worker does not panic")?);
            }
            Ok::<_, RescoringError>(finished)
        })?;
        let mut scores = vec![Vec::new(); tries.len()];
        for (at, found) in finished {
            scores[at] = found;
        }
        Ok(scores)
    }

    fn scores(&mut self, texts: &[Rc<str>]) -> Result<Vec<[LanguageScore; 2]>, RescoringError> {
        self.score(texts)?;
        let known = |text: &Rc<str>| self.known.get(text).copied().unwrap_or_default();
        Ok(texts.iter().map(known).collect())
    }
}

impl LanguageModel for Scorer<'_> {
    type State = Prefix;
    type Error = RescoringError;

    fn start(&self) -> Prefix {
        Prefix {
            text: "".into(),
            score: LanguageScore::default(),
        }
    }

    fn extend(
        &mut self,
        words: &[(&Prefix, &str)],
    ) -> Result<Vec<(Prefix, LanguageScore)>, RescoringError> {
        let extended = |(before, word): &(&Prefix, &str)| -> Rc<str> {
            match &*before.text {
                "" => (*word).into(),
                text => format!("{text} {word}").into(),
            }
        };
        let texts: Vec<Rc<str>> = words.iter().map(extended).collect();
        let scores = self.scores(&texts)?;
        let states = texts.into_iter().zip(scores).zip(words);
        let states = states.map(|((text, [score, _]), (before, _))| {
            let own = LanguageScore::new(
                score.log_probability - before.score.log_probability,
                score.tokens.saturating_sub(before.score.tokens),
            );
            (Prefix { text, score }, own)
        });
        Ok(states.collect())
    }

    fn end(&mut self, states: &[&Prefix]) -> Result<Vec<LanguageScore>, RescoringError> {
        let texts: Vec<Rc<str>> = states.iter().map(|state| Rc::clone(&state.text)).collect();
        let scores = self.scores(&texts)?;
        Ok(scores.into_iter().map(|[_, end]| end).collect())
    }

    fn sentences(&mut self, sentences: &[Vec<&str>]) -> Result<Vec<LanguageScore>, RescoringError> {
        let texts = sentences.iter().map(|words| words.join(" ").into());
        let scores = self.scores(&texts.collect::<Vec<_>>())?;
        Ok(scores.into_iter().map(|[own, end]| own.then(end)).collect())
    }
}
