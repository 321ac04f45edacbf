//! Systems: ways of correcting lists, with their outputs.

use std::collections::BTreeMap;

use crate::exploring::{AlphaRate, ShareRate, by_alpha, by_share};
use crate::{
    Comparison, Corrected, CorrectionError, CountRule, Counted, LanguageModel, Lattice, Method,
    Mode, Normaliser, Point, ScoredLists, TranscriptError, Tuned, Violations, Vocabulary, WordId,
    compare, violations,
};

/// The utterances by which settings are chosen.
#[derive(Debug)]
pub enum Tuning<'a, L: ?Sized = ScoredLists> {
    /// None: the method's grid has one point, and the gate has its threshold.
    Fixed,
    /// The other half: even utterances by the odd ones, and vice versa.
    Halves,
    /// Those of other lists.
    On(&'a L),
}

impl<L: ?Sized> Clone for Tuning<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: ?Sized> Copy for Tuning<'_, L> {}

/// The replacement for a correction that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// The nearest path of the word lattice.
    Nearest,
    /// The best hypothesis.
    Best,
    /// None: the correction stays as it is.
    Never,
}

/// A system's result for one utterance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// The words.
    pub words: Vec<WordId>,
    /// Whether the utterance was sent to correction.
    pub is_sent: bool,
}

/// One way of correcting lists, with its result for each utterance.
///
/// ```
/// use layerwise_transcripts::{
///     CountRule, Counted, Decoder, Gate, Grid, KneserNey, Limits, Method, Mode, Normaliser, ScoredLists,
///     System, Tuning, Vocabulary, read_hyporadise,
/// };
///
/// let file = br#"[{"input": ["show fights", "show flights"], "output": "show flights", "score": [-0.20, -0.21]}]"#;
/// let lists = read_hyporadise(&file[..], &Limits::default())?;
/// let mut vocabulary = Vocabulary::new();
/// let list = lists.utterances[0].distinct(&Normaliser::Norm, &mut vocabulary);
/// let mut model = Counted::new(KneserNey::train([["show", "flights"], ["list", "flights"]])?);
/// let set = ScoredLists::new(lists, vec![list], &vocabulary, &mut model)?;
///
/// // The hypothesis with the highest sum of the recogniser's score and the language model's.
/// let (gate, grid) = (Gate::new(set.lists.scale), Grid::fixed(0.0, 1.0, 0.0));
/// let method = Method::new(Mode::Select, CountRule::Free, gate, Decoder::default(), grid);
/// let systems = System::of_method(&method, &set, Tuning::Fixed, false, 0, &vocabulary, &mut model)?;
/// assert_eq!(vocabulary.text(&systems[0].outputs[0].words), "show flights");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct System {
    /// The mode's name.
    pub mode: &'static str,
    /// How the outputs were found; `None` for corrections written as texts.
    pub method: Option<Method>,
    /// The settings of each utterance; for corrections written as texts, the gate's threshold alone.
    pub tuned: Option<Tuned>,
    /// The rule on the number of words that the outputs obey.
    pub count: CountRule,
    /// The words of each utterance, in the order of the lists.
    pub outputs: Vec<Output>,
    /// The rules that each output breaks; for corrections written as texts, before they were repaired.
    pub violations: Vec<Violations>,
    /// The number of tokens that the language model scored.
    pub tokens: u64,
    /// The number of lattices searched with a beam, because they have too many paths for an exact search.
    pub inexact: usize,
    /// The error rate at each weight of the language model that was tried; empty if there was only one, or without references.
    pub by_alpha: Vec<AlphaRate>,
    /// The error rate if a share of the lists, the most doubtful first, is sent to correction; empty for the best hypotheses, for
    /// corrections written as texts, or without references.
    pub by_share: Vec<ShareRate>,
}

impl System {
    /// The mode's name if another program wrote the outputs.
    pub const EXTERNAL: &'static str = "external";
    /// The mode's name if the language model wrote them.
    pub const GENERATE: &'static str = "generate";
    /// The mode's name if the language model wrote them along paths of the word lattices.
    pub const CONSTRAINED: &'static str = "constrained";

    /// Corrects lists by one method, without a gate and, with `gated`, behind one too.
    ///
    /// The language model is called once for both. `tokens` is the number of tokens that it scored for the lists before.
    ///
    /// # Errors
    ///
    /// As [`Corrected::all`].
    pub fn of_method<L: LanguageModel>(
        method: &Method,
        set: &ScoredLists,
        tuning: Tuning<'_>,
        gated: bool,
        tokens: u64,
        vocabulary: &Vocabulary,
        model: &mut Counted<L>,
    ) -> Result<Vec<Self>, CorrectionError<L::Error>> {
        let is_best = method.mode == Mode::Best;
        let before = model.tokens();
        let corrected = correct(method, set, vocabulary, model)?;
        let elsewhere = match tuning {
            Tuning::On(other) if !is_best => correct(method, other, vocabulary, model)?,
            _ => Vec::new(),
        };
        let tuning = match tuning {
            Tuning::Halves => Tuning::Halves,
            Tuning::On(_) if !is_best => Tuning::On(elsewhere.as_slice()),
            Tuning::Fixed | Tuning::On(_) => Tuning::Fixed,
        };
        let tokens = tokens + model.tokens() - before;
        Ok(Self::of_corrected(
            method, set, &corrected, tuning, gated, tokens, vocabulary,
        ))
    }

    /// The same for lists that were corrected at every point of the method's grid.
    ///
    /// `tokens` is the number of tokens that the language model scored for that.
    pub fn of_corrected(
        method: &Method,
        set: &ScoredLists,
        corrected: &[Corrected],
        tuning: Tuning<'_, [Corrected]>,
        gated: bool,
        tokens: u64,
        vocabulary: &Vocabulary,
    ) -> Vec<Self> {
        let is_best = method.mode == Mode::Best;
        let tokens = match method.mode.needs_language_model() {
            true => tokens,
            false => 0,
        };
        let inexact = corrected.iter().filter(|found| !found.is_exact()).count();
        let count = method.mode.count_rule(method.count);
        let gates: &[bool] = match gated && !is_best {
            true => &[false, true],
            false => &[false],
        };
        let system = |&gated: &bool| {
            let send_single = method.gate.send_single;
            let gate = gated.then_some(send_single);
            let tuned = match tuning {
                Tuning::Halves => Tuned::on_others(corrected, gate),
                Tuning::On(elsewhere) => Tuned::on(elsewhere, corrected.len(), gate),
                Tuning::Fixed => Tuned::fixed(corrected.len(), 0, gated.then_some(method.gate.tau)),
            };
            let pairs = corrected.iter().zip(&set.distinct).enumerate();
            let outputs: Vec<Output> = pairs
                .map(|(at, (corrected, list))| {
                    let (words, is_sent) = tuned.apply(at, corrected, list, send_single);
                    Output {
                        words: words.to_vec(),
                        is_sent: is_sent && !is_best,
                    }
                })
                .collect();
            let pairs = set.distinct.iter().zip(&outputs);
            let violations = pairs
                .map(|(list, Output { words, .. })| {
                    violations(list, count, &vocabulary.text(words), words)
                })
                .collect();
            Self {
                mode: method.mode.name(),
                method: Some(method.clone()),
                count,
                outputs,
                violations,
                tokens,
                inexact,
                by_alpha: by_alpha(method, set, corrected, &tuned.points),
                by_share: match is_best {
                    true => Vec::new(),
                    false => by_share(set, corrected, &tuned.points, send_single),
                },
                tuned: Some(tuned),
            }
        };
        gates.iter().map(system).collect()
    }

    /// Takes corrections written as texts, by utterance id.
    ///
    /// Corrections that break the rules are repaired, and an utterance without a correction keeps its best hypothesis.
    ///
    /// # Errors
    ///
    /// The lists lack an id, or a lattice has too many slots.
    pub fn external(
        set: &ScoredLists,
        corrections: &BTreeMap<String, String>,
        count: CountRule,
        repair: Repair,
        normaliser: &Normaliser,
        vocabulary: &mut Vocabulary,
    ) -> Result<Self, TranscriptError> {
        set.lists.check_ids(corrections.keys())?;
        let mut system = Self {
            mode: Self::EXTERNAL,
            method: None,
            tuned: None,
            count,
            outputs: Vec::new(),
            violations: Vec::new(),
            tokens: 0,
            inexact: 0,
            by_alpha: Vec::new(),
            by_share: Vec::new(),
        };
        for (utterance, list) in set.lists.utterances.iter().zip(&set.distinct) {
            let text = corrections.get(&utterance.id);
            let (words, broken) = match text {
                None => (list.hypotheses[0].clone(), Violations::default()),
                Some(text) => {
                    let words = vocabulary.add_all(normaliser.words(text));
                    let broken = violations(list, count, text, &words);
                    let words = match (broken.any(), repair) {
                        (false, _) => words,
                        (true, Repair::Never) => words,
                        (true, Repair::Best) => list.hypotheses[0].clone(),
                        (true, Repair::Nearest) => {
                            Lattice::of(list)?.under(count).nearest(&words).0
                        }
                    };
                    (words, broken)
                }
            };
            system.violations.push(broken);
            system.outputs.push(Output {
                words,
                is_sent: text.is_some(),
            });
        }
        Ok(system)
    }

    /// The same as the language model's own output: under the name of a mode, behind a gate with threshold `tau` if given, with
    /// the number of tokens that it read and wrote.
    #[must_use]
    pub fn generated(self, mode: &'static str, tau: Option<f64>, tokens: u64) -> Self {
        Self {
            mode,
            tuned: Some(Tuned::fixed(self.outputs.len(), 0, tau)),
            tokens,
            ..self
        }
    }

    /// Whether there is a gate.
    pub fn is_gated(&self) -> bool {
        let tuned = self.tuned.iter();
        tuned.flat_map(|tuned| &tuned.taus).any(Option::is_some)
    }

    /// Its [name](Self::name_of) in outputs.
    pub fn name(&self) -> String {
        Self::name_of(self.mode, self.count, self.is_gated())
    }

    /// The name of a system in outputs: the mode, then `-keep` where the number of words is kept, and `-gated` behind a gate.
    pub fn name_of(mode: &str, count: CountRule, is_gated: bool) -> String {
        let keep = match count {
            CountRule::Keep => "-keep",
            CountRule::Free => "",
        };
        let gated = if is_gated { "-gated" } else { "" };
        format!("{mode}{keep}{gated}")
    }

    /// The distinct values of a setting over the utterances, in order of appearance.
    fn values(&self, value: impl Fn(usize) -> Option<f64>) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::new();
        for at in 0..self.outputs.len() {
            values.extend(value(at).filter(|value| !values.contains(value)));
        }
        values
    }

    fn points(&self, wanted: bool, setting: impl Fn(&Point) -> f64) -> Vec<f64> {
        let (Some(method), Some(tuned), true) = (&self.method, &self.tuned, wanted) else {
            return Vec::new();
        };
        let points = method.grid.points();
        self.values(|at| Some(setting(points.get(tuned.points[at])?)))
    }

    /// The weights of the language model over the utterances; empty for modes that do not use it.
    pub fn alphas(&self) -> Vec<f64> {
        let method = self.method.as_ref();
        let asks = method.is_some_and(|method| method.mode.needs_language_model());
        self.points(asks, |point| point.alpha)
    }

    /// The bonus per word of a lattice's path, in nats; empty without lattices.
    pub fn betas(&self) -> Vec<f64> {
        self.points(self.mode == Mode::Lattice.name(), |point| point.beta)
    }

    /// The gate's thresholds; empty without a gate.
    pub fn taus(&self) -> Vec<f64> {
        self.values(|at| self.tuned.as_ref()?.taus[at])
    }

    /// The temperature of the softmax over hypotheses, in nats, if the outputs depend on it.
    pub fn theta(&self) -> Option<f64> {
        let method = self.method.as_ref()?;
        let uses_it = self.is_gated() || matches!(method.mode, Mode::Vote | Mode::Lattice);
        uses_it.then_some(method.gate.theta)
    }

    /// The number of utterances sent to correction.
    pub fn sent(&self) -> usize {
        let sent = self.outputs.iter().filter(|output| output.is_sent);
        sent.count()
    }

    /// The transcript: an id and words on each line.
    pub fn transcript(&self, set: &ScoredLists, vocabulary: &Vocabulary) -> String {
        let utterances = set.lists.utterances.iter().zip(&self.outputs);
        let line = |(utterance, output): (&crate::Utterance, &Output)| {
            format!("{} {}\n", utterance.id, vocabulary.text(&output.words))
        };
        utterances.map(line).collect()
    }

    /// Compares the outputs with the best hypotheses; `None` without references.
    ///
    /// # Errors
    ///
    /// As [`compare`].
    pub fn compare(
        &self,
        set: &ScoredLists,
        replicates: usize,
        seed: u64,
    ) -> Result<Option<Comparison>, TranscriptError> {
        let pairs = set.distinct.iter().zip(&self.outputs);
        let utterances: Vec<[&[WordId]; 3]> = pairs
            .filter_map(|(list, output)| {
                let reference = list.reference.as_deref()?;
                Some([reference, &list.hypotheses[0], &output.words])
            })
            .collect();
        match utterances.is_empty() {
            true => Ok(None),
            false => compare(&utterances, replicates, seed).map(Some),
        }
    }
}

fn correct<L: LanguageModel>(
    method: &Method,
    set: &ScoredLists,
    vocabulary: &Vocabulary,
    model: &mut L,
) -> Result<Vec<Corrected>, CorrectionError<L::Error>> {
    let lists = set.distinct.iter().zip(&set.language);
    let lists: Vec<_> = lists
        .map(|(list, scores)| (list, scores.as_slice()))
        .collect();
    Corrected::all(method, &lists, set.lists.scale, vocabulary, model)
}
