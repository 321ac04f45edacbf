//! The predictions of the head after every block.

use layerwise_exits::{Reading, Vocab};
use layerwise_metrics::{cosine, distribution};
use layerwise_sweep::{Failure, Measure, MeasureId, Reached, SweepError};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::{Array2, ArrayViewD, Axis, Ix2, s};
use serde::{Deserialize, Serialize};

/// The number of candidates of the restricted head.
const CANDIDATES: usize = 8;
/// The most positions whose logits are in memory at once.
const ROWS: usize = 32;

/// The restricted head of a model: the best tokens after half of its blocks.
pub(super) fn candidates(layers: usize) -> Vocab {
    Vocab::Candidates {
        count: CANDIDATES,
        blocks: layers.div_ceil(2),
    }
}

/// The readings of the head at one position.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// After 1 to L blocks.
    pub(super) readings: Vec<Reading>,
    /// The loss of the correct next token, nats, after 1 to L blocks; empty if it is not known.
    pub(super) losses: Vec<f64>,
}

/// Prompts that run together: their common beginning runs once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) prompts: Vec<Prompt>,
}

/// A prompt, of which the last token or some other positions are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) tokens: Vec<u32>,
    /// Positions to read, ascending.
    pub(super) positions: Vec<usize>,
    /// The first tokens of the options.
    pub(super) options: Vec<u32>,
    /// For each position the correct next token, if it is known.
    pub(super) gold: Vec<Option<u32>>,
}

impl Prompt {
    /// The memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.tokens.capacity() + self.options.capacity();
        let positions = self.positions.capacity() * size_of::<usize>()
            + self.gold.capacity() * size_of::<Option<u32>>();
        // It lies in a list and then in a group, whose lists may have twice the capacity they need.
        4 * size_of::<Self>() + numbers * size_of::<u32>() + positions + 64
    }
}

impl Group {
    /// Whether a prompt shares more than half of its tokens with the first.
    pub(super) fn is_like(&self, prompt: &Prompt) -> bool {
        self.prompts.first().is_some_and(|first| {
            let least = first.tokens.len().min(prompt.tokens.len());
            2 * common(&first.tokens, &prompt.tokens) > least
        })
    }

    /// Tokens that all prompts begin with; each keeps one of its own.
    fn shared(&self) -> usize {
        let Some((first, others)) = self.prompts.split_first() else {
            return 0;
        };
        if others.is_empty() {
            return 0;
        }
        let of = |other: &Prompt| {
            let alike = common(&first.tokens, &other.tokens);
            alike.min(other.tokens.len() - 1)
        };
        let least = others.iter().map(of).min().unwrap_or(0);
        least.min(first.tokens.len() - 1)
    }

    /// The batch, and the rows to read, prompt after prompt.
    fn rows(&self) -> (Batch, Vec<usize>) {
        let mut batch = Batch::default();
        let shared = self.shared();
        let root = (shared > 0).then(|| batch.add(&self.prompts[0].tokens[..shared]));
        let mut rows = Vec::new();
        for prompt in &self.prompts {
            let own = &prompt.tokens[shared..];
            let last = match root {
                Some(root) => batch.add_child(root, own),
                None => batch.add(own),
            };
            let path = batch.path_to(last);
            rows.extend(prompt.positions.iter().map(|position| path[*position]));
        }
        (batch, rows)
    }
}

/// The length of the common beginning of two prompts.
fn common(one: &[u32], other: &[u32]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(a, b)| a == b).count()
}

/// Keeps the rows to read of every residual stream.
pub(super) struct Streams {
    rows: Vec<usize>,
    /// The first block's input and every block's output.
    kept: Vec<Array2<f32>>,
}

impl Observer for Streams {
    fn wants(&self, address: Address) -> bool {
        match address.site {
            Site::ResidPre => self.kept.is_empty(),
            Site::ResidPost => true,
            _ => false,
        }
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        if let Ok(states) = activation.into_dimensionality::<Ix2>() {
            self.kept.push(states.select(Axis(0), &self.rows));
        }
    }
}

/// Reads every position after every block.
pub(super) struct Readings {
    /// If the head is read over candidates, those are read too.
    pub(super) vocab: Vocab,
    /// Blocks of the model.
    pub(super) layers: usize,
}

impl Readings {
    /// `None` if a logit is not finite.
    fn of(
        &self,
        reached: &Reached<'_, Group>,
        streams: &Streams,
    ) -> Result<Option<Vec<Position>>, SweepError> {
        let (model, group) = (reached.model, reached.item);
        let places: Vec<(&Prompt, usize)> = group
            .prompts
            .iter()
            .flat_map(|prompt| (0..prompt.positions.len()).map(move |at| (prompt, at)))
            .collect();
        let mut positions = vec![Position::default(); places.len()];
        let mut best = vec![Vec::new(); places.len()];
        let (count, blocks) = match self.vocab {
            Vocab::Candidates { count, blocks } => (count, blocks),
            _ => (0, 0),
        };
        for (pair, run) in streams.kept.windows(2).zip(1..) {
            let (before, states) = (&pair[0], &pair[1]);
            for first in (0..places.len()).step_by(ROWS) {
                reached.go_on()?;
                let last = (first + ROWS).min(places.len());
                let logits = model.standard_lens(states.slice(s![first..last, ..]));
                for row in first..last {
                    let (prompt, at) = places[row];
                    let logits = logits.row(row - first);
                    if run == blocks {
                        let Ok(likely) = distribution::top(logits, count) else {
                            return Ok(None);
                        };
                        best[row] = likely.iter().map(|likely| likely.token).collect();
                    }
                    // A stream of zeros resembles no other.
                    let state = cosine(before.row(row), states.row(row)).unwrap_or(0.0);
                    let read = Reading::of(logits, &prompt.options, &best[row], state);
                    let Some(reading) = read else {
                        return Ok(None);
                    };
                    let own = &mut positions[row];
                    if let Some(gold) = prompt.gold[at] {
                        let logit = |token: u32| f64::from(logits[token as usize]);
                        let of_first = -reading.full.top.ln();
                        own.losses
                            .push(of_first + logit(reading.full.first) - logit(gold));
                    }
                    own.readings.push(reading);
                }
            }
        }
        Ok(Some(positions))
    }
}

impl Measure for Readings {
    type Item = Group;
    type Observer<'a> = Streams;
    type Reference = ();
    type Sums = Vec<Position>;

    fn id(&self) -> MeasureId {
        MeasureId::new("early-exit", 1).with_settings(self.vocab.to_string())
    }

    fn batch(&self, group: &Group) -> Batch {
        group.rows().0
    }

    fn particulars(&self, group: &Group) -> Vec<u32> {
        let mut numbers = Vec::new();
        for prompt in &group.prompts {
            numbers.push(prompt.positions.len() as u32);
            numbers.extend(prompt.positions.iter().map(|position| *position as u32));
            numbers.push(prompt.options.len() as u32);
            numbers.extend(&prompt.options);
            numbers.extend(prompt.gold.iter().map(|gold| gold.unwrap_or(u32::MAX)));
        }
        numbers
    }

    fn observer<'a>(&'a self, _: &'a Model, group: &'a Group) -> Option<Streams> {
        Some(Streams {
            rows: group.rows().1,
            kept: Vec::new(),
        })
    }

    fn plain(
        &self,
        reached: &Reached<'_, Group>,
        observed: Option<Streams>,
    ) -> Result<((), Self::Sums), Failure> {
        let streams = observed.unwrap_or_else(|| Streams {
            rows: Vec::new(),
            kept: Vec::new(),
        });
        let readings = self.of(reached, &streams)?;
        let position = streams.rows.first().copied().unwrap_or(0);
        Ok(((), readings.ok_or(Failure::NotFinite { position })?))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Group>, (): &()) -> Result<Self::Sums, Failure> {
        Ok(Vec::new())
    }

    fn fits(&self, positions: &Vec<Position>) -> bool {
        positions.iter().all(|position| {
            let has = |count: usize| count == self.layers;
            has(position.readings.len())
                && (position.losses.is_empty() || has(position.losses.len()))
        })
    }

    fn kept_bytes(&self, config: &ModelConfig, seq: usize, _: usize) -> usize {
        let states = (config.layers + 1) * config.model * size_of::<f32>();
        seq * (states + of_position(config))
    }

    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        // Logits of some positions, and the sorted order of one position's tokens.
        let rows = seq.min(ROWS) * (config.vocab + 2 * config.model);
        (rows + config.vocab) * size_of::<f32>()
    }

    fn result_bytes(&self, config: &ModelConfig, items: &[Group], _: usize) -> usize {
        let prompts = items.iter().flat_map(|group| &group.prompts);
        let positions: usize = prompts.map(|prompt| prompt.positions.len()).sum();
        positions * of_position(config)
    }
}

/// Bytes of a position; while lists grow, they may have twice the capacity they need.
fn of_position(config: &ModelConfig) -> usize {
    size_of::<Position>() + 2 * config.layers * (size_of::<Reading>() + size_of::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::runs;
    use layerwise_schedule::{Edit, Schedule};

    fn prompt(tokens: &[u32], positions: &[usize]) -> Prompt {
        Prompt {
            tokens: tokens.to_vec(),
            positions: positions.to_vec(),
            options: vec![3, 9],
            gold: vec![Some(4); positions.len()],
        }
    }

    /// Exit after k blocks equals the schedule keep(0..k) bit for bit, and exit after L blocks equals the model itself; prompts
    /// that share a beginning give the same bits as each alone.
    #[test]
    fn an_exit_is_the_schedule_that_keeps_the_first_blocks() {
        let model = Model::random(ModelConfig::tiny(), 3);
        let group = Group {
            prompts: vec![prompt(&[1, 2, 3, 4], &[3]), prompt(&[1, 2, 7], &[1, 2])],
        };
        assert_eq!(group.shared(), 2);
        let layers = model.config().layers;
        let reader = Readings {
            vocab: candidates(layers),
            layers,
        };
        let found = runs(&model, 2).plain(&reader, std::slice::from_ref(&group));
        let found = found.unwrap()[0].clone();
        assert!(reader.fits(&found));
        assert_eq!(layers, 4);
        let plain = Schedule::plain(model.stack()).unwrap();
        let positions = group.prompts.iter().flat_map(|prompt| {
            prompt
                .positions
                .iter()
                .map(move |position| (prompt, *position))
        });
        let positions: Vec<_> = positions.collect();
        assert_eq!(found.len(), positions.len());
        for (found, (prompt, position)) in found.iter().zip(positions) {
            let mut best = Vec::new();
            let each = found.readings.iter().zip(&found.losses);
            for ((own, loss), k) in each.zip(1..) {
                let edit: Edit = format!("keep(0..{k})").parse().unwrap();
                let schedule = edit.apply(&plain).unwrap();
                let logits = model.logits(&prompt.tokens, &schedule).unwrap();
                let logits = logits.row(position);
                if k == layers.div_ceil(2) {
                    let likely = distribution::top(logits, CANDIDATES).unwrap();
                    best = likely.iter().map(|likely| likely.token).collect();
                }
                let expected = Reading::of(logits, &prompt.options, &best, own.state).unwrap();
                assert_eq!(*own, expected, "{k} blocks, position {position}");
                let expected = -distribution::softmax(logits).unwrap()[4].ln();
                assert!((loss - expected).abs() < 1e-9, "{loss} {expected}");
            }
        }
    }
}
