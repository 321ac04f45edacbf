//! Scores sentences with a language model.

use crate::RescoringError;
use crate::branch::{Branch, Grower};
use crate::trie::Trie;
use layerwise_corpus::Tokenizer;
use layerwise_schedule::Schedule;
use layerwise_transcripts::{LanguageModel, LanguageScore};
use layerwise_transformer::{Model, ModelConfig, Team, Workspace};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Roughly the number of rows of one batch: enough for efficient products, and few enough for the caches.
const BATCH_ROWS: usize = 256;

/// The text around each sentence, and how the work is carried out.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options<'a> {
    bos: Option<u32>,
    prefix: &'a str,
    end_token: Option<u32>,
    threads: NonZeroUsize,
    stop: Option<&'a AtomicBool>,
    watcher: &'a (dyn Watcher + Sync),
}

/// Receives the progress of a [`Scorer`], and its scores.
pub trait Watcher {
    /// A request of `batches` batches begins.
    fn begin(&self, batches: usize);

    /// A batch is finished, or a step of growing sentences, which no `begin` announces: sentences with their scores and those of
    /// their ends.
    ///
    /// # Errors
    /// The scores cannot be stored; scoring stops.
    fn finished(&self, scored: &[Scored<'_>]) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// A sentence, its score, and the score of its end.
pub type Scored<'s> = (&'s str, [LanguageScore; 2]);

/// Ignores progress.
impl Watcher for () {
    fn begin(&self, _: usize) {}

    fn finished(&self, _: &[Scored<'_>]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl fmt::Debug for dyn Watcher + Sync + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            bos: None,
            prefix: "",
            end_token: None,
            threads: NonZeroUsize::MIN,
            stop: None,
            watcher: &(),
        }
    }
}

impl<'a> Options<'a> {
    /// No text around a sentence, and one thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the token before each sentence, or before the prefix.
    pub fn bos(mut self, token: Option<u32>) -> Self {
        self.bos = token;
        self
    }

    /// Sets a text before each sentence that the model reads but that is not scored, such as a hint at the domain. Spaces at its
    /// end are dropped.
    pub fn prefix(mut self, text: &'a str) -> Self {
        self.prefix = text.trim_end();
        self
    }

    /// Sets a token that is scored at the end of each sentence.
    pub fn end_token(mut self, token: Option<u32>) -> Self {
        self.end_token = token;
        self
    }

    /// Sets the number of threads for the batches of a request; no score depends on it.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets a stop signal; soon after it is true, work ends with [`RescoringError::Interrupted`].
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Sets the receiver of progress and scores.
    pub fn watcher(mut self, watcher: &'a (dyn Watcher + Sync)) -> Self {
        self.watcher = watcher;
        self
    }
}

/// A transformer as a language model of words.
///
/// A sentence is its words joined by spaces, after BOS and the prefix, if any. Its score is the sum of the log-probabilities of
/// its tokens, in nats. Scores are remembered, so each sentence runs once.
///
/// Whole sentences are branches of one batch; sentences that grow word by word continue from forked keys and values. Both give
/// the same bits.
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
    /// The tokens of BOS and the prefix.
    start: Vec<u32>,
    /// Scored sentences, each with the score of its end.
    known: HashMap<Rc<str>, [LanguageScore; 2]>,
    /// The threads that share the steps of growing sentences.
    team: Arc<Team>,
}

/// The words so far, their score, and their branch if they were run.
#[derive(Clone)]
pub struct Prefix<'a> {
    text: Rc<str>,
    score: LanguageScore,
    branch: Option<Rc<Branch<'a>>>,
}

impl<'a> Scorer<'a> {
    /// A language model without remembered scores.
    ///
    /// # Errors
    /// [`RescoringError::Token`] for BOS or the end token, or the tokenizer refuses the prefix.
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
            team: Arc::new(Team::new(options.threads)),
            options,
            known: HashMap::new(),
        })
    }

    /// Adds known scores of sentences, as a [`Watcher`] received them.
    #[must_use]
    pub fn knowing<'s>(mut self, scored: impl IntoIterator<Item = Scored<'s>>) -> Self {
        let scored = scored.into_iter();
        self.known
            .extend(scored.map(|(text, scores)| (Rc::from(text), scores)));
        self
    }

    /// Roughly the largest number of bytes that one thread takes.
    pub fn worker_bytes(config: &ModelConfig) -> usize {
        // A sentence may be longer than the rest of a batch.
        let rows = BATCH_ROWS + config.context.min(2048);
        let states = 4 * rows * config.model * size_of::<f32>();
        Workspace::most_bytes(config, rows) + states
    }

    /// Roughly the largest number of bytes that a beam of `width` sentences takes.
    pub fn beam_bytes(config: &ModelConfig, plain: &Schedule, width: usize) -> usize {
        // Each is followed by the words of a slot, which are seldom more than this.
        8 * width * Branch::most_bytes(config, plain)
    }

    /// The tokens of a sentence, with those before it.
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

    /// Scores the sentences whose scores are not known yet.
    fn score(&mut self, texts: &[Rc<str>]) -> Result<(), RescoringError> {
        let mut fresh: Vec<(Rc<str>, Vec<u32>)> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        for text in texts {
            if !self.known.contains_key(text) && seen.insert(text) {
                fresh.push((Rc::clone(text), self.tokens(text)?));
            }
        }
        let mut batches: Vec<Vec<(&str, &[u32])>> = Vec::new();
        let mut rows = BATCH_ROWS;
        let mut before: &[u32] = &[];
        for (text, sentence) in &fresh {
            let shared = sentence
                .iter()
                .zip(before)
                .take_while(|(a, b)| a == b)
                .count();
            if rows >= BATCH_ROWS {
                batches.push(Vec::new());
                rows = 0;
            }
            rows += sentence.len() - shared;
            if let Some(batch) = batches.last_mut() {
                batch.push((text, sentence));
            }
            before = sentence;
        }
        let scores = self.run(&batches)?;
        for ((text, _), score) in fresh.into_iter().zip(scores.into_iter().flatten()) {
            self.known.insert(text, score);
        }
        Ok(())
    }

    /// Runs batches of sentences on all threads.
    fn run(
        &self,
        batches: &[Vec<(&str, &[u32])>],
    ) -> Result<Vec<Vec<[LanguageScore; 2]>>, RescoringError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        self.options.watcher.begin(batches.len());
        let next = AtomicUsize::new(0);
        let (model, plain) = (self.model, &self.plain);
        let (unscored, options) = (self.start.len(), &self.options);
        let work = || {
            let mut done: Vec<(usize, Vec<[LanguageScore; 2]>)> = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(at) else {
                    return Ok::<_, RescoringError>(done);
                };
                if options
                    .stop
                    .is_some_and(|stop| stop.load(Ordering::Relaxed))
                {
                    return Err(RescoringError::Interrupted {
                        finished: at,
                        all: batches.len(),
                    });
                }
                let sentences: Vec<&[u32]> = batch.iter().map(|(_, tokens)| *tokens).collect();
                let trie = Trie::new(&sentences);
                let scores = trie.score(model, plain, unscored, options.end_token)?;
                let texts = batch.iter().map(|(text, _)| *text);
                let scored: Vec<Scored<'_>> = texts.zip(scores.iter().copied()).collect();
                let told = options.watcher.finished(&scored);
                told.map_err(RescoringError::Watcher)?;
                done.push((at, scores));
            }
        };
        let finished = thread::scope(|scope| {
            let others: Vec<_> = (1..options.threads.get().min(batches.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut finished = work()?;
            for other in others {
                finished.extend(other.join().expect("a worker does not panic")?);
            }
            Ok::<_, RescoringError>(finished)
        })?;
        let mut scores = vec![Vec::new(); batches.len()];
        for (at, found) in finished {
            scores[at] = found;
        }
        Ok(scores)
    }

    /// Scores the texts whose scores are not known yet, each from the branch of its beginning, and returns their branches. A
    /// beginning without a branch, because its score was known, is run again.
    fn grow<'t>(
        &mut self,
        texts: impl Iterator<Item = (&'t Prefix<'a>, &'t Rc<str>)>,
    ) -> Result<HashMap<Rc<str>, Rc<Branch<'a>>>, RescoringError>
    where
        'a: 't,
    {
        let mut fresh: Vec<(&Prefix<'a>, &Rc<str>)> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        for (before, text) in texts {
            if !self.known.contains_key(text) && seen.insert(text) {
                fresh.push((before, text));
            }
        }
        let grower = Grower {
            model: self.model,
            plain: &self.plain,
            team: &self.team,
            unscored: self.start.len(),
            end_token: self.options.end_token,
            stop: self.options.stop,
        };
        let mut begun: HashMap<&str, Rc<Branch<'a>>> = HashMap::new();
        let mut lost: Vec<(&str, Vec<u32>)> = Vec::new();
        for (before, _) in &fresh {
            let text = &*before.text;
            match &before.branch {
                Some(branch) => drop(begun.insert(text, Rc::clone(branch))),
                None if lost.iter().all(|(other, _)| *other != text) => {
                    lost.push((text, self.tokens(text)?));
                }
                None => {}
            }
        }
        lost.retain(|(_, tokens)| !tokens.is_empty());
        let grown = grower.grow(lost.iter().map(|(_, tokens)| (None, tokens.as_slice())))?;
        begun.extend(lost.iter().map(|(text, _)| *text).zip(grown));
        let mut tokens: Vec<Vec<u32>> = Vec::with_capacity(fresh.len());
        for (_, text) in &fresh {
            tokens.push(self.tokens(text)?);
        }
        let asked = fresh.iter().zip(&tokens);
        let asked = asked.filter(|(_, tokens)| !tokens.is_empty());
        let asked = asked.map(|((before, _), tokens)| {
            let begun = begun.get(&*before.text).map(Rc::as_ref);
            (begun, tokens.as_slice())
        });
        let mut grown = grower.grow(asked)?.into_iter();
        let mut branches = HashMap::new();
        let mut scored: Vec<Scored<'_>> = Vec::new();
        for ((_, text), tokens) in fresh.iter().zip(&tokens) {
            if tokens.is_empty() {
                continue;
            }
            if let Some(branch) = grown.next() {
                scored.push((text, branch.scores()));
                self.known.insert(Rc::clone(text), branch.scores());
                branches.insert(Rc::clone(text), branch);
            }
        }
        if !scored.is_empty() {
            let told = self.options.watcher.finished(&scored);
            told.map_err(RescoringError::Watcher)?;
        }
        Ok(branches)
    }

    fn scores(&mut self, texts: &[Rc<str>]) -> Result<Vec<[LanguageScore; 2]>, RescoringError> {
        self.score(texts)?;
        let known = |text: &Rc<str>| self.known.get(text).copied().unwrap_or_default();
        Ok(texts.iter().map(known).collect())
    }
}

impl<'a> LanguageModel for Scorer<'a> {
    type State = Prefix<'a>;
    type Error = RescoringError;

    fn start(&self) -> Prefix<'a> {
        Prefix {
            text: "".into(),
            score: LanguageScore::default(),
            branch: None,
        }
    }

    fn extend(
        &mut self,
        words: &[(&Prefix<'a>, &str)],
    ) -> Result<Vec<(Prefix<'a>, LanguageScore)>, RescoringError> {
        let extended = |(before, word): &(&Prefix<'a>, &str)| -> Rc<str> {
            match &*before.text {
                "" => (*word).into(),
                text => format!("{text} {word}").into(),
            }
        };
        let texts: Vec<Rc<str>> = words.iter().map(extended).collect();
        let befores = words.iter().map(|(before, _)| *before);
        let branches = self.grow(befores.zip(&texts))?;
        let scores = self.scores(&texts)?;
        let states = texts.into_iter().zip(scores).zip(words);
        let states = states.map(|((text, [score, _]), (before, _))| {
            let own = LanguageScore::new(
                score.log_probability - before.score.log_probability,
                score.tokens.saturating_sub(before.score.tokens),
            );
            let branch = branches.get(&text).cloned();
            let prefix = Prefix {
                text,
                score,
                branch,
            };
            (prefix, own)
        });
        Ok(states.collect())
    }

    fn end(&mut self, states: &[&Prefix<'a>]) -> Result<Vec<LanguageScore>, RescoringError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::embedded;
    use std::sync::Mutex;

    const SENTENCES: [&str; 6] = [
        "show me the king of france",
        "show me the king of trance",
        "show me kings",
        "show the king",
        "me",
        "show me the king of france",
    ];

    fn words() -> Vec<Vec<&'static str>> {
        let sentences = SENTENCES.iter();
        sentences.map(|text| text.split(' ').collect()).collect()
    }

    /// Scores of sentences that grow together, word by word.
    fn grown(scorer: &mut Scorer<'_>) -> Vec<LanguageScore> {
        let sentences = words();
        let start = scorer.start();
        let mut states = vec![(start, LanguageScore::default()); sentences.len()];
        let longest = sentences.iter().map(Vec::len).max().unwrap_or(0);
        for depth in 0..longest {
            let own = states.iter().zip(&sentences).enumerate();
            let going: Vec<(usize, &str)> = own
                .filter_map(|(at, (_, words))| Some((at, *words.get(depth)?)))
                .collect();
            let asked: Vec<_> = going
                .iter()
                .map(|(at, word)| (&states[*at].0, *word))
                .collect();
            let scored = scorer.extend(&asked).unwrap();
            for ((at, _), (state, score)) in going.into_iter().zip(scored) {
                states[at] = (state, states[at].1.then(score));
            }
        }
        let last: Vec<_> = states.iter().map(|(state, _)| state).collect();
        let ends = scorer.end(&last).unwrap();
        let texts = states.iter().zip(ends);
        texts.map(|((_, score), end)| score.then(end)).collect()
    }

    #[test]
    fn sentences_that_grow_are_scored_as_whole_ones() {
        let (model, tokenizer) = embedded();
        let threads = NonZeroUsize::new(3).unwrap();
        for options in [
            Options::new().bos(Some(0)).end_token(Some(5)),
            Options::new().prefix("Now.").threads(threads),
            Options::new(),
        ] {
            let new = || Scorer::new(&model, &tokenizer, options.clone()).unwrap();
            let (mut whole, mut growing) = (new(), new());
            let expected = whole.sentences(&words()).unwrap();
            for found in [grown(&mut growing), grown(&mut whole)] {
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.tokens, expected.tokens);
                    let apart = found.log_probability - expected.log_probability;
                    assert!(apart.abs() < 1e-9, "{found:?} {expected:?}");
                }
            }
            // Each sentence was scored from its beginning; to the bit, the score is that of the sentence run alone.
            assert_eq!(growing.sentences(&words()).unwrap(), expected);
            // Known scores of some sentences do not affect the others.
            let mut part = new();
            part.sentences(&words()[..2]).unwrap();
            grown(&mut part);
            assert_eq!(part.sentences(&words()).unwrap(), expected);
        }
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<(String, [LanguageScore; 2])>>);

    impl Watcher for Kept {
        fn begin(&self, _: usize) {}

        fn finished(&self, scored: &[Scored<'_>]) -> Result<(), Box<dyn Error + Send + Sync>> {
            let scored = scored.iter();
            let scored = scored.map(|(text, scores)| ((*text).to_owned(), *scores));
            self.0.lock().unwrap().extend(scored);
            Ok(())
        }
    }

    #[test]
    fn what_was_told_need_not_be_scored_again() {
        let (model, tokenizer) = embedded();
        let kept = Kept::default();
        let new = || Scorer::new(&model, &tokenizer, Options::new().watcher(&kept)).unwrap();
        let mut first = new();
        let expected = grown(&mut first);
        let whole = first.sentences(&words()).unwrap();
        let told = kept.0.lock().unwrap().clone();
        let known = || told.iter().map(|(text, scores)| (text.as_str(), *scores));
        let mut second = new().knowing(known());
        assert_eq!(grown(&mut second), expected);
        assert_eq!(second.sentences(&words()).unwrap(), whole);
        assert_eq!(kept.0.lock().unwrap().len(), told.len());
    }
}
