//! Growing sentences, each from the keys and values of its beginning.

use crate::RescoringError;
use crate::trie::log_probabilities;
use layerwise_schedule::Schedule;
use layerwise_transcripts::LanguageScore;
use layerwise_transformer::{Model, ModelConfig, Precision, State, Team};
use ndarray::{Array2, ArrayView1, Axis};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Roughly the number of rows of one step.
const STEP_ROWS: usize = 256;
/// Room is reserved in multiples of this many tokens, because a fork copies all the room.
const ROOM: usize = 64;

/// The beginning of a sentence, after its tokens were run.
pub(crate) struct Branch<'m> {
    state: State<'m>,
    tokens: Vec<u32>,
    /// The last token's state after the final norm, \[1, model\].
    last: Array2<f32>,
    scores: [LanguageScore; 2],
}

impl Branch<'_> {
    /// The score of the tokens, and that of the end token after them.
    pub(crate) fn scores(&self) -> [LanguageScore; 2] {
        self.scores
    }

    /// The memory of a branch with as many tokens as the first reservation holds, in bytes.
    pub(crate) fn most_bytes(config: &ModelConfig, plain: &Schedule) -> usize {
        State::most_bytes(config, plain, ROOM.min(config.context), Precision::F32)
    }
}

/// What all branches of one scorer share.
pub(crate) struct Grower<'s, 'm> {
    pub(crate) model: &'m Model,
    pub(crate) plain: &'s Schedule,
    pub(crate) team: &'s Arc<Team>,
    /// Tokens at the beginning of each sentence that are not scored.
    pub(crate) unscored: usize,
    pub(crate) end_token: Option<u32>,
    pub(crate) stop: Option<&'s AtomicBool>,
}

/// A sentence in progress: its state, and the number of its tokens that were run.
struct Growth<'b, 'm> {
    state: State<'m>,
    begun: Option<&'b Branch<'m>>,
    tokens: &'b [u32],
}

impl Growth<'_, '_> {
    fn rest(&self) -> &[u32] {
        &self.tokens[self.begun.map_or(0, |begun| begun.tokens.len())..]
    }
}

impl<'m> Grower<'_, 'm> {
    /// Runs sentences of at least one token, each from the branch of its beginning, if one is given.
    ///
    /// # Errors
    /// The stop signal was given, a log-probability is not finite, or the model refuses the tokens.
    pub(crate) fn grow<'b>(
        &self,
        sentences: impl Iterator<Item = (Option<&'b Branch<'m>>, &'b [u32])>,
    ) -> Result<Vec<Rc<Branch<'m>>>, RescoringError>
    where
        'm: 'b,
    {
        let mut groups: Vec<Vec<Growth<'b, 'm>>> = Vec::new();
        let mut rows = STEP_ROWS;
        for (begun, tokens) in sentences {
            let growth = self.growth(begun, tokens)?;
            if rows >= STEP_ROWS {
                groups.push(Vec::new());
                rows = 0;
            }
            rows += growth.rest().len();
            if let Some(group) = groups.last_mut() {
                group.push(growth);
            }
        }
        let all = groups.len();
        let mut grown = Vec::new();
        for (finished, group) in groups.into_iter().enumerate() {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(RescoringError::Interrupted { finished, all });
            }
            grown.extend(self.step(group)?);
        }
        Ok(grown)
    }

    fn growth<'b>(
        &self,
        begun: Option<&'b Branch<'m>>,
        tokens: &'b [u32],
    ) -> Result<Growth<'b, 'm>, RescoringError> {
        let goes_on = |begun: &&Branch<'m>| {
            let is_longer = tokens.len() > begun.tokens.len();
            let has_room = tokens.len() <= begun.state.capacity();
            is_longer && has_room && tokens.starts_with(&begun.tokens)
        };
        let begun = begun.filter(goes_on);
        let state = match begun {
            Some(begun) => begun.state.fork(),
            None => {
                let room = tokens.len().next_multiple_of(ROOM);
                let room = room.min(self.model.config().context);
                State::new(self.model, self.plain, room)?.with_team(self.team)
            }
        };
        Ok(Growth {
            state,
            begun,
            tokens,
        })
    }

    /// Runs the remaining tokens of some sentences together.
    fn step<'b>(
        &self,
        mut group: Vec<Growth<'b, 'm>>,
    ) -> Result<Vec<Rc<Branch<'m>>>, RescoringError> {
        let mut states: Vec<(&mut State<'m>, &[u32])> = group
            .iter_mut()
            .map(|growth| {
                let done = growth.begun.map_or(0, |begun| begun.tokens.len());
                (&mut growth.state, &growth.tokens[done..])
            })
            .collect();
        let residual = State::extend_all(&mut states)?;
        let normed = self.model.final_norm(residual.view());
        // The state that predicts each scored token, with the token; then those of the ends.
        let mut states: Vec<ArrayView1<'_, f32>> = Vec::new();
        let mut targets: Vec<u32> = Vec::new();
        let mut row = 0;
        let mut lasts = Vec::with_capacity(group.len());
        for growth in &group {
            let done = growth.tokens.len() - growth.rest().len();
            for (at, &token) in growth.tokens.iter().enumerate().skip(done) {
                if at >= self.unscored.max(1) {
                    states.push(match growth.begun {
                        Some(begun) if at == done => begun.last.row(0),
                        _ => normed.row(row + at - done - 1),
                    });
                    targets.push(token);
                }
            }
            row += growth.rest().len();
            lasts.push(row - 1);
        }
        if let Some(end) = self.end_token {
            states.extend(lasts.iter().map(|last| normed.row(*last)));
            targets.extend(lasts.iter().map(|_| end));
        }
        let mut rows = Array2::zeros((states.len(), normed.ncols()));
        for (mut row, state) in rows.outer_iter_mut().zip(&states) {
            row.assign(state);
        }
        let found = log_probabilities(self.model, rows.view(), &targets);
        let first_end = found.len() - self.end_token.map_or(0, |_| lasts.len());
        let mut own = found[..first_end].iter();
        let mut ends = found[first_end..].iter();
        let mut grown = Vec::with_capacity(group.len());
        for (growth, last) in group.into_iter().zip(lasts) {
            let done = growth.tokens.len() - growth.rest().len();
            let before = growth
                .begun
                .map_or(LanguageScore::default(), |begun| begun.scores[0]);
            let scored =
                growth.tokens.len() - done.max(self.unscored.max(1)).min(growth.tokens.len());
            let score = own
                .by_ref()
                .take(scored)
                .fold(before, |sum, own| sum.then(LanguageScore::new(*own, 1)));
            let end = ends
                .next()
                .map_or(LanguageScore::default(), |end| LanguageScore::new(*end, 1));
            if !score.log_probability.is_finite() || !end.log_probability.is_finite() {
                return Err(RescoringError::NotFinite);
            }
            grown.push(Rc::new(Branch {
                last: normed.select(Axis(0), &[last]),
                tokens: growth.tokens.to_vec(),
                state: growth.state,
                scores: [score, end],
            }));
        }
        Ok(grown)
    }
}
