//! Corrects many utterances over a grid of settings, and chooses settings by word error rate.
//!
//! [`Corrected`] holds the result of every point of a [`Grid`] for one utterance. For lattices that are searched exactly, the
//! language model scores all paths once, whatever the number of points. [`Tuned::on_others`] and [`Tuned::on`] choose points by
//! the errors on utterances for which the points are not used.

use std::collections::HashMap;

use crate::{
    Candidate, CountRule, Decoder, DistinctList, Gate, LanguageModel, LanguageScore, Lattice,
    ScoreScale, TranscriptError, Vocabulary, WordId, distance,
};

/// How a corrected transcript is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The recogniser's best hypothesis.
    Best,
    /// The heaviest word of each slot: ROVER without context.
    Vote,
    /// The hypothesis with the highest S = A + α·G.
    Select,
    /// The best path through the word lattice.
    Lattice,
}

impl Mode {
    /// Every mode.
    pub const ALL: &'static [Self] = &[Self::Best, Self::Vote, Self::Select, Self::Lattice];

    /// The name in outputs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Vote => "vote",
            Self::Select => "select",
            Self::Lattice => "lattice",
        }
    }

    /// The rule that its outputs obey: `asked` if they come from a lattice, otherwise none.
    pub fn count_rule(self, asked: CountRule) -> CountRule {
        match self {
            Self::Lattice | Self::Vote => asked,
            Self::Best | Self::Select => CountRule::Free,
        }
    }

    /// Whether it asks a language model.
    pub fn needs_language_model(self) -> bool {
        matches!(self, Self::Select | Self::Lattice)
    }
}

/// A point of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The cost of a rank in nats, if there are no scores.
    pub kappa: f64,
    /// The weight of the language model.
    pub alpha: f64,
    /// The bonus per word, in nats.
    pub beta: f64,
}

/// The settings to try, in ascending order; among points with equally few errors, the first is taken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Grid {
    /// κ, for lists without scores.
    pub kappa: Vec<f64>,
    /// α.
    pub alpha: Vec<f64>,
    /// β, for lattices.
    pub beta: Vec<f64>,
}

/// The thresholds of the gate to try.
pub const TAUS: &[f64] = &[0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

impl Grid {
    /// The values to try for a mode.
    pub fn of(mode: Mode, scale: ScoreScale) -> Self {
        let kappa = match scale {
            ScoreScale::Absent => vec![0.0, 0.05, 0.1, 0.2, 0.5],
            ScoreScale::Mean | ScoreScale::Sum => vec![0.0],
        };
        let (alpha, beta) = match mode {
            Mode::Best | Mode::Vote => (vec![0.0], vec![0.0]),
            Mode::Select => (
                (0..=20).map(|step| f64::from(step) / 20.0).collect(),
                vec![0.0],
            ),
            Mode::Lattice => (
                vec![0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0],
                vec![0.0, 1.0, 2.0, 3.0],
            ),
        };
        Self { kappa, alpha, beta }
    }

    /// A grid with one point.
    pub fn fixed(kappa: f64, alpha: f64, beta: f64) -> Self {
        Self {
            kappa: vec![kappa],
            alpha: vec![alpha],
            beta: vec![beta],
        }
    }

    /// The points; β varies fastest, then α, then κ.
    pub fn points(&self) -> Vec<Point> {
        let alphas = |&kappa: &f64| self.alpha.iter().map(move |&alpha| (kappa, alpha));
        let pairs = self.kappa.iter().flat_map(alphas);
        let betas = |(kappa, alpha)| {
            let point = move |&beta: &f64| Point { kappa, alpha, beta };
            self.beta.iter().map(point)
        };
        pairs.flat_map(betas).collect()
    }
}

/// How utterances are corrected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Method {
    /// How a corrected transcript is found.
    pub mode: Mode,
    /// The rule on the number of words of a lattice's paths.
    pub count: CountRule,
    /// How hypotheses are weighted; κ is the grid's.
    pub gate: Gate,
    /// How a lattice is searched; α and β are the grid's.
    pub decoder: Decoder,
    /// The points to try.
    pub grid: Grid,
}

impl Method {
    /// A method from its parts.
    pub fn new(mode: Mode, count: CountRule, gate: Gate, decoder: Decoder, grid: Grid) -> Self {
        Self {
            mode,
            count,
            gate,
            decoder,
            grid,
        }
    }
}

/// The words that each point of a grid finds for one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Distinct sequences of words.
    pub outputs: Vec<Vec<WordId>>,
    /// For each point, the index of its output.
    pub places: Vec<usize>,
    /// Whether the lattice, if there was one, was searched exactly.
    pub is_exact: bool,
}

/// The results of each point of a grid for one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    found: Found,
    /// The highest posterior at each point.
    confidences: Vec<f64>,
    /// The errors of each output; empty without a reference.
    errors: Vec<usize>,
    best_errors: usize,
    is_single: bool,
}

impl Corrected {
    /// Corrects lists at every point of a method's grid, given the language model's scores of their hypotheses.
    ///
    /// The language model scores the paths of all lattices that are searched exactly in one request, so that it can run them
    /// together; then the beams of the others.
    ///
    /// # Errors
    ///
    /// The language model's errors, and a lattice with too many slots, with the index of its list.
    pub fn all<L: LanguageModel>(
        method: &Method,
        lists: &[(&DistinctList, &[LanguageScore])],
        scale: ScoreScale,
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Vec<Self>, CorrectionError<L::Error>> {
        let asks = method.grid.alpha.iter().any(|&alpha| alpha != 0.0);
        let mut paths: Vec<Vec<Candidate>> = Vec::new();
        for (at, (list, _)) in lists.iter().enumerate() {
            paths.push(match asks && method.mode == Mode::Lattice {
                false => Vec::new(),
                true => {
                    let lattice = Lattice::of(list);
                    let lattice = lattice.map_err(CorrectionError::at(at))?;
                    let lattice = lattice.under(method.count);
                    match method.decoder.is_exact(&lattice) {
                        true => method.decoder.paths(&lattice),
                        false => Vec::new(),
                    }
                }
            });
        }
        let sentences: Vec<Vec<&str>> = paths
            .iter()
            .flatten()
            .map(|path| vocabulary.words(&path.words))
            .collect();
        let scores = model.sentences(&sentences);
        let mut scores = scores.map_err(CorrectionError::LanguageModel)?.into_iter();
        let lists = lists.iter().zip(&paths).enumerate();
        lists
            .map(|(at, ((list, language), paths))| {
                let scores: Vec<LanguageScore> = scores.by_ref().take(paths.len()).collect();
                Self::one(method, list, scale, language, &scores, vocabulary, model).map_err(
                    |error| match error {
                        Failure::Transcript(source) => CorrectionError::at(at)(source),
                        Failure::LanguageModel(source) => CorrectionError::LanguageModel(source),
                    },
                )
            })
            .collect()
    }

    /// Corrects one list; `paths` holds the scored paths of a lattice that is searched exactly.
    fn one<L: LanguageModel>(
        method: &Method,
        list: &DistinctList,
        scale: ScoreScale,
        language: &[LanguageScore],
        paths: &[LanguageScore],
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Self, Failure<L::Error>> {
        let mut found = Found {
            outputs: Vec::new(),
            places: Vec::new(),
            is_exact: true,
        };
        let mut known: HashMap<Vec<WordId>, usize> = HashMap::new();
        for &kappa in &method.grid.kappa {
            let mut gate = method.gate;
            gate.kappa = kappa;
            let scores = gate.scores(list, scale, language);
            let judgement = gate.judge(list, &scores);
            let lattice = match method.mode {
                Mode::Best | Mode::Select => None,
                Mode::Vote | Mode::Lattice => {
                    let lattice = Lattice::rover(&list.hypotheses, &judgement.posteriors)?;
                    Some(lattice.under(method.count))
                }
            };
            let searched = lattice.as_ref().filter(|_| method.mode == Mode::Lattice);
            let search =
                searched.map(|lattice| Search::new(method, lattice, paths, vocabulary, model));
            let mut search = search.transpose().map_err(Failure::LanguageModel)?;
            for &alpha in &method.grid.alpha {
                for &beta in &method.grid.beta {
                    let words = match (method.mode, &lattice, &mut search) {
                        (Mode::Vote, Some(lattice), _) => lattice.heaviest(),
                        (_, _, Some(search)) => search.best(alpha, beta),
                        (Mode::Select, ..) => {
                            gate.alpha = alpha;
                            let scores = gate.scores(list, scale, language);
                            list.hypotheses[first_highest(&scores)].clone()
                        }
                        _ => list.hypotheses[0].clone(),
                    };
                    let next = found.outputs.len();
                    let place = *known.entry(words.clone()).or_insert(next);
                    if place == next {
                        found.outputs.push(words);
                    }
                    found.places.push(place);
                }
            }
            found.is_exact &= search.is_none_or(|search| search.is_exact);
        }
        Ok(Self::of(method, list, scale, language, found))
    }

    /// A result that the same method found for a list before.
    ///
    /// # Panics
    ///
    /// If `found` does not have an index for each point of the grid, or an output for each index.
    pub fn of(
        method: &Method,
        list: &DistinctList,
        scale: ScoreScale,
        language: &[LanguageScore],
        found: Found,
    ) -> Self {
        let points = method.grid.points().len();
        assert_eq!(found.places.len(), points, "each point has an index");
        let has_output = |place: &usize| *place < found.outputs.len();
        assert!(
            found.places.iter().all(has_output),
            "each index has an output"
        );
        let per_kappa = method.grid.alpha.len() * method.grid.beta.len();
        let confidences = method.grid.kappa.iter().flat_map(|&kappa| {
            let mut gate = method.gate;
            gate.kappa = kappa;
            let judgement = gate.judge(list, &gate.scores(list, scale, language));
            std::iter::repeat_n(judgement.confidence, per_kappa)
        });
        let errors = |words: &Vec<WordId>| {
            let reference = list.reference.as_ref();
            reference.map(|reference| distance(reference, words))
        };
        Self {
            confidences: confidences.collect(),
            errors: found.outputs.iter().filter_map(errors).collect(),
            best_errors: errors(&list.hypotheses[0]).unwrap_or(0),
            is_single: list.hypotheses.len() == 1,
            found,
        }
    }

    /// The words found by each point.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The words at a point.
    pub fn words(&self, point: usize) -> &[WordId] {
        &self.found.outputs[self.found.places[point]]
    }

    /// The errors at a point; 0 without a reference.
    pub(crate) fn errors_at(&self, point: usize) -> usize {
        self.errors(point, None)
    }

    /// The errors of the best hypothesis; 0 without a reference.
    pub(crate) fn best_errors(&self) -> usize {
        self.best_errors
    }

    /// The highest posterior at a point.
    pub(crate) fn confidence(&self, point: usize) -> f64 {
        self.confidences[point]
    }

    /// Whether the lattice, if there was one, was searched exactly.
    pub fn is_exact(&self) -> bool {
        self.found.is_exact
    }

    /// Whether a gate with this threshold sends the list to correction at a point.
    pub fn is_sent(&self, point: usize, tau: f64, send_single: bool) -> bool {
        self.confidences[point] <= tau && (!self.is_single || send_single)
    }

    /// The errors at a point, behind the gate if one is given.
    fn errors(&self, point: usize, gate: Option<(f64, bool)>) -> usize {
        match gate {
            Some((tau, send_single)) if !self.is_sent(point, tau, send_single) => self.best_errors,
            _ => {
                let place = self.found.places[point];
                self.errors.get(place).copied().unwrap_or(0)
            }
        }
    }
}

/// Why lists cannot be corrected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorrectionError<E> {
    /// A list exceeds a limit.
    #[error("list {index}: {source}")]
    Transcript {
        /// The index of the list, from 0.
        index: usize,
        /// The limit that it exceeds.
        source: TranscriptError,
    },
    /// The language model failed.
    #[error("language model: {0}")]
    LanguageModel(#[source] E),
}

impl<E> CorrectionError<E> {
    fn at(index: usize) -> impl Fn(TranscriptError) -> Self {
        move |source| Self::Transcript { index, source }
    }
}

/// Why one list cannot be corrected.
enum Failure<E> {
    Transcript(TranscriptError),
    LanguageModel(E),
}

impl<E> From<TranscriptError> for Failure<E> {
    fn from(error: TranscriptError) -> Self {
        Self::Transcript(error)
    }
}

/// The index of the highest number; the first among equals.
fn first_highest(scores: &[f64]) -> usize {
    let higher = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    (0..scores.len()).reduce(higher).unwrap_or(0)
}

/// A lattice that is searched for several α and β.
struct Search {
    decoder: Decoder,
    /// The paths of a lattice that is searched exactly.
    paths: Vec<Candidate>,
    /// For a lattice that is not: the remaining candidates of the beam for each further α and β, in order.
    beams: std::vec::IntoIter<Vec<Candidate>>,
    is_exact: bool,
}

impl Search {
    fn new<L: LanguageModel>(
        method: &Method,
        lattice: &Lattice,
        scores: &[LanguageScore],
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Self, L::Error> {
        let is_exact = method.decoder.is_exact(lattice);
        let (mut paths, mut beams) = (Vec::new(), Vec::new());
        if is_exact {
            paths = method.decoder.paths(lattice);
            for (path, score) in paths.iter_mut().zip(scores) {
                path.language = *score;
            }
        } else {
            let decoders = method.grid.alpha.iter().flat_map(|&alpha| {
                let decoder = move |&beta: &f64| Decoder {
                    alpha,
                    beta,
                    ..method.decoder
                };
                method.grid.beta.iter().map(decoder)
            });
            beams = Decoder::beams(&decoders.collect::<Vec<_>>(), lattice, vocabulary, model)?;
        }
        Ok(Self {
            decoder: method.decoder,
            paths,
            beams: beams.into_iter(),
            is_exact,
        })
    }

    /// The best words at the next α and β.
    fn best(&mut self, alpha: f64, beta: f64) -> Vec<WordId> {
        (self.decoder.alpha, self.decoder.beta) = (alpha, beta);
        if !self.is_exact {
            self.paths = self.beams.next().unwrap_or_default();
        }
        let best = self.decoder.best(&self.paths);
        best.map(|best| best.words.clone()).unwrap_or_default()
    }
}

/// The settings of each of some utterances, with the gate's threshold if there is one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tuned {
    /// The point for each utterance.
    pub points: Vec<usize>,
    /// The gate's threshold for each utterance; `None` without a gate.
    pub taus: Vec<Option<f64>>,
}

impl Tuned {
    /// One point and threshold for all utterances.
    pub fn fixed(utterances: usize, point: usize, tau: Option<f64>) -> Self {
        Self {
            points: vec![point; utterances],
            taus: vec![tau; utterances],
        }
    }

    /// Corrects even utterances with the settings that are best for the odd ones, and vice versa.
    ///
    /// The point is the one with the fewest errors without a gate. With `gate`, which says whether single hypotheses are sent,
    /// the threshold is then the one with the fewest errors.
    pub fn on_others(corrected: &[Corrected], gate: Option<bool>) -> Self {
        let half = |parity: usize| {
            let other = corrected.iter().skip(1 - parity).step_by(2);
            choose(&other.collect::<Vec<_>>(), gate)
        };
        let halves = [half(0), half(1)];
        let at = |place: usize| halves[place % 2];
        Self {
            points: (0..corrected.len()).map(|place| at(place).0).collect(),
            taus: (0..corrected.len()).map(|place| at(place).1).collect(),
        }
    }

    /// Corrects all utterances with the settings that are best for another set.
    pub fn on(set: &[Corrected], utterances: usize, gate: Option<bool>) -> Self {
        let (point, tau) = choose(&set.iter().collect::<Vec<_>>(), gate);
        Self::fixed(utterances, point, tau)
    }

    /// The words of an utterance, and whether it was sent to correction.
    pub fn apply<'c>(
        &self,
        at: usize,
        corrected: &'c Corrected,
        list: &'c DistinctList,
        send_single: bool,
    ) -> (&'c [WordId], bool) {
        let point = self.points[at];
        match self.taus[at] {
            Some(tau) if !corrected.is_sent(point, tau, send_single) => {
                (&list.hypotheses[0], false)
            }
            _ => (corrected.words(point), true),
        }
    }
}

/// The point with the fewest errors and, with a gate, the threshold with the fewest errors.
fn choose(set: &[&Corrected], gate: Option<bool>) -> (usize, Option<f64>) {
    let errors = |point: usize, gate: Option<(f64, bool)>| -> usize {
        set.iter().map(|found| found.errors(point, gate)).sum()
    };
    let points = set.first().map_or(1, |of| of.found.places.len());
    let point = (0..points).min_by_key(|&point| errors(point, None));
    let point = point.unwrap_or(0);
    let tau = gate.and_then(|send_single| {
        let taus = TAUS.iter().copied();
        taus.min_by_key(|&tau| errors(point, Some((tau, send_single))))
    });
    (point, tau)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KneserNey, Limits, Normaliser, read_hyporadise};

    const LISTS: &str = r#"[
        {"input": ["a c", "a b", "b b"], "output": "a b", "score": [-0.20, -0.21, -0.25]},
        {"input": ["b c"], "output": "b b", "score": [-0.2]},
        {"input": ["c b", "a b"], "output": "a b", "score": [-0.10, -0.60]},
        {"input": ["c b", "a b"], "output": "c b", "score": [-0.30, -0.31]}
    ]"#;

    struct Set {
        lists: Vec<DistinctList>,
        vocabulary: Vocabulary,
        model: KneserNey,
    }

    fn set() -> Set {
        let lists = read_hyporadise(LISTS.as_bytes(), &Limits::default()).unwrap();
        let mut vocabulary = Vocabulary::new();
        let utterances = lists.utterances.iter();
        let lists = utterances
            .map(|utterance| utterance.distinct(&Normaliser::None, &mut vocabulary))
            .collect();
        let model = KneserNey::train([["a", "b"], ["a", "b"]]).unwrap();
        Set {
            lists,
            vocabulary,
            model,
        }
    }

    fn corrected(set: &mut Set, mode: Mode, grid: Grid) -> Vec<Corrected> {
        let gate = Gate::new(ScoreScale::Mean);
        let method = Method::new(mode, CountRule::Free, gate, Decoder::default(), grid);
        let (vocabulary, model) = (&set.vocabulary, &mut set.model);
        let language: Vec<Vec<LanguageScore>> = set
            .lists
            .iter()
            .map(|list| model.sentences(&list.sentences(vocabulary)).unwrap())
            .collect();
        let lists = set.lists.iter().zip(&language);
        let lists: Vec<_> = lists
            .map(|(list, scores)| (list, scores.as_slice()))
            .collect();
        Corrected::all(&method, &lists, ScoreScale::Mean, vocabulary, model).unwrap()
    }

    fn texts(set: &Set, corrected: &[Corrected], tuned: &Tuned) -> Vec<(String, bool)> {
        let pairs = corrected.iter().zip(&set.lists).enumerate();
        pairs
            .map(|(at, (corrected, list))| {
                let (words, is_sent) = tuned.apply(at, corrected, list, false);
                (set.vocabulary.text(words), is_sent)
            })
            .collect()
    }

    #[test]
    fn every_mode_at_one_point() {
        let mut set = set();
        for (mode, expected) in [
            (Mode::Best, ["a c", "b c", "c b", "c b"]),
            (Mode::Vote, ["a b", "b c", "c b", "c b"]),
            (Mode::Select, ["a b", "b c", "a b", "a b"]),
            (Mode::Lattice, ["a b", "b c", "c b", "a b"]),
        ] {
            let found = corrected(&mut set, mode, Grid::fixed(0.0, 1.0, 3.0));
            let found = texts(&set, &found, &Tuned::fixed(4, 0, None));
            let found: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(found, expected, "{}", mode.name());
        }
    }

    #[test]
    fn without_a_language_model_or_behind_a_closed_gate_the_best_stays() {
        let mut set = set();
        let best: Vec<String> = ["a c", "b c", "c b", "c b"].map(str::to_owned).into();
        let found = corrected(&mut set, Mode::Select, Grid::fixed(0.0, 0.0, 0.0));
        let found = texts(&set, &found, &Tuned::fixed(4, 0, None));
        assert_eq!(
            found.into_iter().map(|(text, _)| text).collect::<Vec<_>>(),
            best
        );
        let found = corrected(&mut set, Mode::Lattice, Grid::fixed(0.0, 1.0, 3.0));
        let found = texts(&set, &found, &Tuned::fixed(4, 0, Some(0.0)));
        assert!(found.iter().all(|(_, is_sent)| !is_sent));
        assert_eq!(
            found.into_iter().map(|(text, _)| text).collect::<Vec<_>>(),
            best
        );
    }

    #[test]
    fn a_grid_makes_what_its_points_make_alone() {
        let mut set = set();
        for mode in [Mode::Select, Mode::Lattice] {
            let grid = Grid::of(mode, ScoreScale::Mean);
            let together = corrected(&mut set, mode, grid.clone());
            for (place, point) in grid.points().into_iter().enumerate() {
                let grid = Grid::fixed(point.kappa, point.alpha, point.beta);
                let alone = corrected(&mut set, mode, grid);
                for (together, alone) in together.iter().zip(&alone) {
                    assert_eq!(together.words(place), alone.words(0), "{point:?}");
                    assert_eq!(together.errors(place, None), alone.errors(0, None));
                }
            }
        }
    }

    #[test]
    fn what_was_found_before_is_as_good() {
        let mut set = set();
        for mode in [Mode::Select, Mode::Lattice] {
            let grid = Grid::of(mode, ScoreScale::Absent);
            let gate = Gate::new(ScoreScale::Mean);
            let method = Method::new(
                mode,
                CountRule::Free,
                gate,
                Decoder::default(),
                grid.clone(),
            );
            let searched = corrected(&mut set, mode, grid);
            for (searched, list) in searched.iter().zip(&set.lists) {
                let found = searched.found().clone();
                let again = Corrected::of(&method, list, ScoreScale::Mean, &[], found);
                assert_eq!(again, *searched);
            }
        }
    }

    #[test]
    fn each_half_is_tuned_on_the_other() {
        let mut set = set();
        let grid = Grid::fixed(0.0, 0.0, 0.0);
        let mut grid = Grid {
            alpha: vec![0.0, 1.0],
            ..grid
        };
        let found = corrected(&mut set, Mode::Select, grid.clone());
        // Even utterances gain from α = 1; the odd ones do not, so α = 0 is the first of the best points.
        let tuned = Tuned::on_others(&found, Some(false));
        assert_eq!(tuned.points, [0, 1, 0, 1]);
        assert_eq!(tuned.taus[0], Some(0.5));
        let tuned = Tuned::on(&found[..1], 4, Some(false));
        assert_eq!(tuned.points, [1; 4]);
        // The best hypothesis of the first list has a posterior of 0.46, that of the third list 1.
        assert_eq!(tuned.taus, [Some(0.5); 4]);
        let found = texts(&set, &found, &tuned);
        assert_eq!(found[0], ("a b".to_owned(), true));
        assert_eq!(found[2], ("c b".to_owned(), false));
        grid.alpha.clear();
        assert!(grid.points().is_empty());
    }
}
