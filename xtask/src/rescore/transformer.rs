//! Scores of sentences by a transformer.
//!
//! A sentence is the words joined by blanks, after the model's BOS and a prefix where there is one; its score is the sum of
//! the log-probabilities of its tokens. Sentences that begin alike are branches of one [`Batch`], so that what they share
//! is run once: the hypotheses of an utterance, and the paths of its word lattice.

use super::arguments::Arguments;
use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedModel};
use crate::interrupt::STOP;
use anyhow::{Context, ensure};
use layerwise::corpus::{Bos, Tokenizer};
use layerwise::kernels::vocabulary;
use layerwise::schedule::Schedule;
use layerwise::sweep::SweepError;
use layerwise::transcripts::{LanguageModel, LanguageScore};
use layerwise::transformer::{Batch, Model, Workspace};
use ndarray::Axis;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Rows of one batch, about: enough for the products, and few enough for the caches.
const BATCH_ROWS: usize = 256;

/// Opens the model that was named, with its tokenizer.
///
/// # Errors
/// A model that cannot be accepted, or one without a tokenizer.
pub(super) fn open(arguments: &Arguments, model: &str) -> anyhow::Result<(OpenedModel, Tokenizer)> {
    let inputs = Inputs {
        precision: arguments.precision,
        no_mmap: arguments.no_mmap,
        max_memory: arguments.max_memory,
        ..Inputs::of_model(model)
    };
    let opened = inputs::open_models(&inputs)?
        .pop()
        .context("a model was named")?;
    let tokenizer = inputs::open_tokenizer(&opened)?.with_context(|| {
        format!(
            "{}: needs a tokenizer.json to read text with, found none in {}",
            opened.name,
            opened.folder.display()
        )
    })?;
    Ok((opened, tokenizer))
}

/// A transformer as a language model of words.
pub(super) struct Transformer<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    plain: Schedule,
    /// What stands before each sentence, and its tokens with BOS.
    prefix: &'a str,
    start: Vec<u32>,
    end_token: Option<u32>,
    threads: usize,
    /// What was scored, with the score of the end.
    known: HashMap<Rc<str>, [LanguageScore; 2]>,
}

/// The words so far, and their score.
#[derive(Clone)]
pub(super) struct Prefix {
    text: Rc<str>,
    score: LanguageScore,
}

/// Why sentences cannot be scored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScoringError {
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(#[source] SweepError),
    /// A sentence or what the model makes of it.
    #[error("{0:#}")]
    Sentence(anyhow::Error),
}

impl<'a> Transformer<'a> {
    /// A language model that has scored nothing yet.
    ///
    /// # Errors
    /// A prefix or BOS that cannot be used, or too little memory.
    pub(super) fn new(
        arguments: &'a Arguments,
        opened: &'a OpenedModel,
        tokenizer: &'a Tokenizer,
    ) -> anyhow::Result<Self> {
        let model = &opened.model;
        let mut start =
            match inputs::beginning(arguments.bos, "each sentence", opened, Some(tokenizer))?.0 {
                Bos::None => Vec::new(),
                Bos::Id(id) | Bos::Auto(id) => vec![id],
            };
        let prefix = arguments.prefix.trim_end();
        start.extend(tokenizer.encode(prefix)?);
        let vocab = model.config().vocab;
        for id in start.iter().copied().chain(arguments.end_token) {
            ensure!(
                (id as usize) < vocab,
                "token {id}: expected an id below {vocab}, the vocabulary of {}",
                opened.name
            );
        }
        let run = Run {
            threads: arguments.threads,
            fresh: false,
        };
        let threads = run.threads().get();
        // A sentence may be longer than what is left of a batch.
        let rows = BATCH_ROWS + model.config().context.min(2048);
        let states = 4 * rows * model.config().model * size_of::<f32>();
        let worker = Workspace::most_bytes(model.config(), rows) + states;
        opened
            .budget
            .check(&opened.name, (worker as u64).saturating_mul(threads as u64))?;
        Ok(Self {
            model,
            tokenizer,
            plain: Schedule::plain(model.stack())?,
            prefix,
            start,
            end_token: arguments.end_token,
            threads,
            known: HashMap::new(),
        })
    }

    /// The tokens of a sentence, with what stands before it.
    fn tokens(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        let whole = match (self.prefix, text) {
            ("", text) => text.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, text) => format!("{prefix} {text}"),
        };
        let own = self.start.len() - self.tokenizer.encode(self.prefix)?.len();
        let mut tokens = self.start[..own].to_vec();
        tokens.extend(self.tokenizer.encode(&whole)?);
        ensure!(
            tokens.starts_with(&self.start),
            "the prefix {:?} does not end where a token ends before {text:?}; end it with a full stop",
            self.prefix
        );
        let context = self.model.config().context;
        ensure!(
            tokens.len() <= context,
            "expected sentences of at most {context} tokens, the model's context, found {}: {text:.60?}",
            tokens.len()
        );
        Ok(tokens)
    }

    /// Scores the sentences that are not known yet.
    fn score(&mut self, texts: &[Rc<str>]) -> anyhow::Result<()> {
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
    fn run(&self, tries: &[Vec<&[u32]>]) -> anyhow::Result<Vec<Vec<[LanguageScore; 2]>>> {
        let next = AtomicUsize::new(0);
        let (model, plain) = (self.model, &self.plain);
        let (unscored, end) = (self.start.len(), self.end_token);
        let work = || -> anyhow::Result<Vec<(usize, Vec<[LanguageScore; 2]>)>> {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(trie) = tries.get(at) else {
                    return Ok(done);
                };
                if STOP.load(Ordering::Relaxed) {
                    return Err(SweepError::Interrupted {
                        finished: at,
                        all: tries.len(),
                        units: "batches of sentences".to_owned(),
                        kept: false,
                    }
                    .into());
                }
                done.push((at, Trie::new(trie).score(model, plain, unscored, end)?));
            }
        };
        let finished = thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads.min(tries.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut finished = work()?;
            for other in others {
                finished.extend(other.join().expect("a worker does not panic")?);
            }
            anyhow::Ok(finished)
        })?;
        let mut scores = vec![Vec::new(); tries.len()];
        for (at, found) in finished {
            scores[at] = found;
        }
        Ok(scores)
    }

    fn scores(&mut self, texts: &[Rc<str>]) -> Result<Vec<[LanguageScore; 2]>, ScoringError> {
        self.score(texts).map_err(|error| match error.downcast() {
            Ok(interrupted) => ScoringError::Interrupted(interrupted),
            Err(other) => ScoringError::Sentence(other),
        })?;
        let known = |text: &Rc<str>| self.known.get(text).copied().unwrap_or_default();
        Ok(texts.iter().map(known).collect())
    }
}

impl LanguageModel for Transformer<'_> {
    type State = Prefix;
    type Error = ScoringError;

    fn start(&self) -> Prefix {
        Prefix {
            text: "".into(),
            score: LanguageScore::default(),
        }
    }

    fn extend(
        &mut self,
        words: &[(&Prefix, &str)],
    ) -> Result<Vec<(Prefix, LanguageScore)>, ScoringError> {
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

    fn end(&mut self, states: &[&Prefix]) -> Result<Vec<LanguageScore>, ScoringError> {
        let texts: Vec<Rc<str>> = states.iter().map(|state| Rc::clone(&state.text)).collect();
        let scores = self.scores(&texts)?;
        Ok(scores.into_iter().map(|[_, end]| end).collect())
    }

    fn sentences(&mut self, sentences: &[Vec<&str>]) -> Result<Vec<LanguageScore>, ScoringError> {
        let texts = sentences.iter().map(|words| words.join(" ").into());
        let scores = self.scores(&texts.collect::<Vec<_>>())?;
        Ok(scores.into_iter().map(|[own, end]| own.then(end)).collect())
    }
}

/// Sentences as branches of what they share.
struct Trie {
    nodes: Vec<Node>,
    /// The last node of each sentence; none of an empty one.
    ends: Vec<Option<usize>>,
}

struct Node {
    token: u32,
    parent: Option<usize>,
    depth: usize,
    children: Vec<usize>,
}

impl Trie {
    fn new(sentences: &[&[u32]]) -> Self {
        let mut trie = Self {
            nodes: Vec::new(),
            ends: Vec::new(),
        };
        let mut roots: Vec<usize> = Vec::new();
        for sentence in sentences {
            let mut parent: Option<usize> = None;
            for (depth, &token) in sentence.iter().enumerate() {
                let next = trie.nodes.len();
                let siblings = match parent {
                    None => &roots,
                    Some(parent) => &trie.nodes[parent].children,
                };
                let found = siblings
                    .iter()
                    .copied()
                    .find(|&at| trie.nodes[at].token == token);
                let at = found.unwrap_or(next);
                if at == next {
                    match parent {
                        None => roots.push(at),
                        Some(parent) => trie.nodes[parent].children.push(at),
                    }
                    trie.nodes.push(Node {
                        token,
                        parent,
                        depth,
                        children: Vec::new(),
                    });
                }
                parent = Some(at);
            }
            trie.ends.push(parent);
        }
        trie
    }

    /// Runs the model, and gives each sentence the score of its tokens past the first `unscored` (or past the first, which
    /// nothing predicts), and that of the end token after it.
    fn score(
        &self,
        model: &Model,
        plain: &Schedule,
        unscored: usize,
        end: Option<u32>,
    ) -> anyhow::Result<Vec<[LanguageScore; 2]>> {
        let mut scores = vec![[LanguageScore::default(); 2]; self.ends.len()];
        if self.nodes.is_empty() {
            return Ok(scores);
        }
        let (batch, rows) = self.batch();
        let residual = model.run(&batch, plain, &mut ())?;
        let normed = model.final_norm(residual.view());
        // Each token that is scored, and the row that predicts it.
        let mut predicted: Vec<(usize, u32)> = Vec::new();
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let parent = node.parent.filter(|_| node.depth >= unscored.max(1));
            places.push(parent.map(|parent| {
                predicted.push((rows[parent], node.token));
                predicted.len() - 1
            }));
        }
        let first_end = predicted.len();
        if let Some(end) = end {
            let ends = self.ends.iter().flatten();
            predicted.extend(ends.map(|&node| (rows[node], end)));
        }
        let chosen: Vec<usize> = predicted.iter().map(|(row, _)| *row).collect();
        let targets: Vec<u32> = predicted.iter().map(|(_, token)| *token).collect();
        let states = normed.select(Axis(0), &chosen);
        let summaries = vocabulary::pass(states.view(), model.unembedding(), &targets);
        let log_probability = |at: usize| {
            let logit = summaries[at].target_logit.map_or(f64::NAN, f64::from);
            logit - summaries[at].log_sum_exp
        };
        // Parents come before their children.
        let mut totals: Vec<LanguageScore> = Vec::with_capacity(self.nodes.len());
        for (node, place) in self.nodes.iter().zip(&places) {
            let before = node
                .parent
                .map_or_else(LanguageScore::default, |at| totals[at]);
            let own = place.map_or_else(LanguageScore::default, |at| {
                LanguageScore::new(log_probability(at), 1)
            });
            totals.push(before.then(own));
        }
        let mut next_end = first_end;
        for (score, node) in scores.iter_mut().zip(&self.ends) {
            if let Some(node) = *node {
                score[0] = totals[node];
                if end.is_some() {
                    score[1] = LanguageScore::new(log_probability(next_end), 1);
                    next_end += 1;
                }
            }
            let is_finite = score.iter().all(|score| score.log_probability.is_finite());
            ensure!(
                is_finite,
                "expected finite logits, found a log-probability that is none"
            );
        }
        Ok(scores)
    }

    /// The batch of all nodes, and the row of each.
    fn batch(&self) -> (Batch, Vec<usize>) {
        let mut batch = Batch::default();
        let mut rows = vec![0; self.nodes.len()];
        let roots = (0..self.nodes.len()).filter(|&at| self.nodes[at].parent.is_none());
        // Where a segment begins, and the segment that it continues.
        let mut open: Vec<(usize, Option<usize>)> = roots.map(|root| (root, None)).collect();
        while let Some((first, parent)) = open.pop() {
            let mut chain = vec![first];
            let mut last = first;
            while let [child] = self.nodes[last].children.as_slice() {
                chain.push(*child);
                last = *child;
            }
            let tokens: Vec<u32> = chain.iter().map(|&at| self.nodes[at].token).collect();
            let segment = match parent {
                None => batch.add(&tokens),
                Some(parent) => batch.add_child(parent, &tokens),
            };
            for (row, at) in batch.rows_of(segment).zip(chain) {
                rows[at] = row;
            }
            let children = self.nodes[last].children.iter();
            open.extend(children.map(|&child| (child, Some(segment))));
        }
        (batch, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise::metrics::divergence;
    use layerwise::transformer::ModelConfig;

    #[test]
    fn branches_are_scored_as_alone() {
        let model = Model::random(ModelConfig::tiny(), 5);
        let plain = Schedule::plain(model.stack()).unwrap();
        let sentences: [&[u32]; 6] = [
            &[0, 5, 3, 8],
            &[0, 5, 3],
            &[0, 5, 3, 9, 1],
            &[0, 7],
            &[0],
            &[4, 5],
        ];
        for (unscored, end) in [(1, Some(2)), (2, Some(2)), (0, None)] {
            let together = Trie::new(&sentences)
                .score(&model, &plain, unscored, end)
                .unwrap();
            for (tokens, found) in sentences.iter().zip(&together) {
                let alone = Trie::new(&[tokens])
                    .score(&model, &plain, unscored, end)
                    .unwrap();
                assert_eq!(alone[0], *found, "{tokens:?}");
                // The same from whole rows of logits.
                let logits = model.logits(*tokens, &plain).unwrap();
                let loss = |row: usize, token: u32| {
                    divergence::loss_nats(logits.row(row), token as usize).unwrap()
                };
                let first = unscored.max(1);
                let expected: f64 = (first..tokens.len())
                    .map(|at| -loss(at - 1, tokens[at]))
                    .sum();
                assert!(
                    (found[0].log_probability - expected).abs() < 1e-5,
                    "{found:?} {expected}"
                );
                assert_eq!(found[0].tokens, tokens.len().saturating_sub(first));
                let expected = end.map_or(0.0, |end| -loss(tokens.len() - 1, end));
                assert!((found[1].log_probability - expected).abs() < 1e-5);
            }
        }
        assert!(
            Trie::new(&[])
                .score(&model, &plain, 1, None)
                .unwrap()
                .is_empty()
        );
    }
}
