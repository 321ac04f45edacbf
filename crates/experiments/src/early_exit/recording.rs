//! Where rules stop, and what that costs and saves, as lines of tables.

use super::instance::{Instance, NEXT_TOKEN, Read};
use super::laws::Checked;
use super::table::{FeatureRecord, HistogramRecord, LossRecord, Record};
use super::times::PromptTimes;
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_exits::{Reading, Rule, Trained, Vocab, exit};
use layerwise_metrics::ClusteredMean;
use layerwise_transformer::{Cost, ModelConfig};

/// A rule, the tokens it reads the head over, and its training task.
pub(super) struct Applied<'a> {
    pub(super) rule: Rule,
    trained: Option<&'a Trained>,
    pub(super) vocab: Vocab,
    pub(super) train_task: Option<&'a String>,
    /// Depths before this one are skipped,
    pub(super) least: usize,
    /// and so are all but every `every`-th.
    pub(super) every: usize,
    /// The threshold at which exits are counted by depth.
    pub(super) shown: Option<f64>,
    /// Times of whole prompts at that threshold.
    pub(super) times: Option<PromptTimes>,
}

impl<'a> Applied<'a> {
    pub(super) fn new(rule: Rule, trained: Option<&'a Trained>, vocab: Vocab) -> Self {
        Self {
            rule,
            trained,
            vocab,
            train_task: None,
            least: 1,
            every: 1,
            shown: None,
            times: None,
        }
    }

    /// The columns of the head that are read until a run of a model stops after this many blocks.
    fn columns(&self, blocks: usize, config: &ModelConfig, options: usize) -> usize {
        let vocab = config.vocab;
        if !self.rule.reads_head() {
            // Once, at the end.
            return match self.vocab {
                Vocab::Options => options,
                _ => vocab,
            };
        }
        let is_read = |k: usize| {
            let is_tested = k >= self.least && k.is_multiple_of(self.every.max(1));
            is_tested || self.rule.looks_back() || k == blocks
        };
        let read = |k: usize| match self.vocab {
            // A run that nothing stopped has the full model's answer.
            Vocab::Candidates { .. } if k == config.layers => vocab,
            Vocab::Candidates { blocks: from, .. } if k < from => 0,
            Vocab::Candidates { blocks: from, .. } if k == from => vocab,
            _ if !is_read(k) => 0,
            Vocab::Full => vocab,
            Vocab::Options => options,
            Vocab::Candidates { count, .. } => count.min(vocab),
        };
        (1..=blocks).map(read).sum()
    }

    pub(super) fn scores(&self, readings: &[Reading]) -> Vec<f64> {
        match self.trained {
            Some(trained) => trained.scores(readings, self.vocab),
            None => self.rule.scores(readings, self.vocab),
        }
    }
}

/// Fills the tables of a model.
pub(super) struct Recording<'a> {
    subject: &'a Subject<'a>,
    cost: Cost,
}

impl<'a> Recording<'a> {
    pub(super) fn new(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            cost: Cost::new(subject.model.config()),
        }
    }

    pub(super) fn features(&self, task: &Read, tables: &mut Tables) {
        let is_final = |r: &Instance, at: usize| r.is_final(&r.readings()[at], Vocab::Full);
        for k in 0..self.subject.model.config().layers {
            let mean = |value: &dyn Fn(&Instance) -> f64| over(&task.test, |_, r| Some(value(r)));
            let gap = mean(&|r| r.readings()[k].full.gap);
            let top = mean(&|r| r.readings()[k].full.top);
            let stable = |r: &Instance| (k..r.readings().len()).all(|at| is_final(r, at));
            let share = |mean: ClusteredMean| mean.mean().unwrap_or(f64::NAN);
            tables.push(FeatureRecord {
                model: self.subject.name.to_owned(),
                task: task.name.clone(),
                blocks_run: k + 1,
                instances: task.test.len() as u64,
                gap_mean: gap.mean().unwrap_or(f64::NAN),
                gap_se: gap.standard_error(),
                top_mean: top.mean().unwrap_or(f64::NAN),
                top_se: top.standard_error(),
                match_rate: share(mean(&|r| f64::from(is_final(r, k)))),
                stable_match_rate: share(mean(&|r| f64::from(stable(r)))),
            });
        }
    }

    /// A rule at several thresholds on one task. Returns how often an instance stops earlier at the next higher threshold.
    pub(super) fn rule(
        &self,
        applied: &Applied<'_>,
        task: &Read,
        thresholds: &[f64],
        tables: &mut Tables,
    ) -> Result<Checked, ExperimentError> {
        let mut all: Vec<(f64, Vec<usize>)> = Vec::new();
        let scores = task.test.iter().map(|it| {
            self.subject.runs.go_on()?;
            Ok(applied.scores(it.readings()))
        });
        let scores = scores.collect::<Result<Vec<Vec<f64>>, ExperimentError>>()?;
        for &threshold in thresholds {
            self.subject.runs.go_on()?;
            let exits = scores
                .iter()
                .map(|own| exit(applied.rule, own, threshold, applied.least, applied.every));
            let stopped = Stopped {
                applied,
                threshold,
                task,
                exits: exits.collect(),
            };
            tables.push(self.record(&stopped));
            if applied.shown == Some(threshold) {
                self.histogram(&stopped, tables);
            }
            let own = applied.train_task.is_none_or(|name| *name == task.name);
            if task.name == NEXT_TOKEN && applied.vocab == Vocab::Full && own {
                tables.push(self.loss(&stopped)?);
            }
            all.push((threshold, stopped.exits));
        }
        Ok(Checked::of_rising(all))
    }

    fn record(&self, stopped: &Stopped<'_>) -> Record {
        let config = self.subject.model.config();
        let layers = config.layers;
        let &Stopped {
            applied,
            threshold,
            task,
            ..
        } = stopped;
        let option_is_right = |r: &Instance, k: usize| {
            let chosen = r.readings()[k - 1].options?.first as usize;
            Some(f64::from(chosen == r.answer?))
        };
        let blocks = stopped.over(|_, k| Some(k as f64));
        let agreement = stopped.over(|r, k| Some(stopped.agrees(r, k)));
        let full = stopped.over(|r, _| stopped.is_right(r, layers));
        let exit = stopped.over(|r, k| stopped.is_right(r, k));
        let mean_blocks = blocks.mean().unwrap_or(f64::NAN);
        let of_blocks = |r: &Instance, k: usize| k as f64 * self.of_block(r.tokens);
        let head = |r: &Instance, k: usize| {
            let columns = applied.columns(k, config, r.options.len());
            self.of_head() * columns as f64 / config.vocab as f64
        };
        let mean = |value: &dyn Fn(&Instance, usize) -> f64| {
            let mean = stopped.over(|r, k| Some(value(r, k)));
            mean.mean().unwrap_or(f64::NAN)
        };
        let times = applied.times.filter(|_| applied.shown == Some(threshold));
        Record {
            model: self.subject.name.to_owned(),
            task: task.name.clone(),
            rule: applied.rule.name().to_owned(),
            vocab: applied.vocab.to_string(),
            train_task: applied.train_task.cloned().unwrap_or_default(),
            threshold,
            instances: task.test.len() as u64,
            acc_full: full.mean(),
            acc_full_se: full.standard_error(),
            acc_exit: exit.mean(),
            acc_exit_se: exit.standard_error(),
            options_acc_full: stopped.over(|r, _| option_is_right(r, layers)).mean(),
            options_acc_exit: stopped.over(option_is_right).mean(),
            agreement: agreement.mean().unwrap_or(f64::NAN),
            agreement_se: agreement.standard_error(),
            exit_blocks_mean: mean_blocks,
            exit_blocks_se: blocks.standard_error(),
            pruning_ratio: 1.0 - mean_blocks / layers as f64,
            ops_ratio: mean(&|_, k| k as f64 / layers as f64),
            ops_ratio_with_head: mean(&|r, k| {
                (of_blocks(r, k) + head(r, k)) / (of_blocks(r, layers) + self.of_head())
            }),
            seconds_full: times.map(|times| times.seconds_full),
            seconds_exit: times.map(|times| times.seconds_exit),
            time_ratio: times.map(|times| times.ratio),
            time_ratio_se: times.and_then(|times| times.ratio_se),
            head_share: mean(&|r, k| head(r, k) / (of_blocks(r, k) + head(r, k))),
        }
    }

    fn histogram(&self, stopped: &Stopped<'_>, tables: &mut Tables) {
        for blocks_run in 1..=self.subject.model.config().layers {
            let exits = || {
                let pairs = stopped.task.test.iter().zip(&stopped.exits);
                pairs.filter(move |(_, k)| **k == blocks_run)
            };
            let agreeing = exits().filter(|(r, k)| stopped.agrees(r, **k) == 1.0);
            let correct = exits().filter(|(r, k)| stopped.is_right(r, **k) == Some(1.0));
            tables.push(HistogramRecord {
                model: self.subject.name.to_owned(),
                task: stopped.task.name.clone(),
                rule: stopped.applied.rule.name().to_owned(),
                threshold: stopped.threshold,
                blocks_run,
                exits: exits().count() as u64,
                agreeing: agreeing.count() as u64,
                correct: correct.count() as u64,
            });
        }
    }

    fn loss(&self, stopped: &Stopped<'_>) -> Result<LossRecord, ExperimentError> {
        let layers = self.subject.model.config().layers;
        let full = stopped.over(|r, _| r.position.losses.get(layers - 1).copied());
        let exit = stopped.over(|r, k| r.position.losses.get(k - 1).copied());
        let blocks = stopped.over(|_, k| Some(k as f64));
        let increase = exit.difference(&full)?;
        Ok(LossRecord {
            model: self.subject.name.to_owned(),
            rule: stopped.applied.rule.name().to_owned(),
            threshold: stopped.threshold,
            positions: stopped.task.test.len() as u64,
            pruning_ratio: 1.0 - blocks.mean().unwrap_or(f64::NAN) / layers as f64,
            loss_full_nats: full.mean().unwrap_or(f64::NAN),
            loss_increase_nats: increase.mean().unwrap_or(f64::NAN),
            loss_increase_se: increase.standard_error(),
            sequences: increase.clusters().len() as u64,
        })
    }

    /// Operations of one block on this many tokens: matrices, causal scores and weighted sums.
    fn of_block(&self, tokens: usize) -> f64 {
        let config = self.subject.model.config();
        let (tokens, width) = (tokens as f64, (config.heads * config.head) as f64);
        let matrices = (self.cost.attention + self.cost.mlp) as f64;
        2.0 * tokens * matrices + 2.0 * width * tokens * (tokens + 1.0)
    }

    /// Operations of the head on one position.
    fn of_head(&self) -> f64 {
        2.0 * self.cost.unembedding as f64
    }
}

/// A rule at a threshold on the test instances of a task.
struct Stopped<'a> {
    applied: &'a Applied<'a>,
    threshold: f64,
    task: &'a Read,
    exits: Vec<usize>,
}

impl Stopped<'_> {
    /// The mean over instances, given their exits, of those that have a value.
    fn over(&self, value: impl Fn(&Instance, usize) -> Option<f64>) -> ClusteredMean {
        over(&self.task.test, |at, instance| {
            value(instance, self.exits[at])
        })
    }

    /// Whether a run that stops after this many blocks has the full model's answer, as a run of all blocks always has.
    fn agrees(&self, instance: &Instance, blocks: usize) -> f64 {
        let readings = instance.readings();
        let is_whole = blocks == readings.len();
        f64::from(is_whole || instance.is_final(&readings[blocks - 1], self.applied.vocab))
    }

    /// Whether the answer's first token is the most probable one: of the candidates if a run stops early, else of the whole
    /// vocabulary, also where the rule reads options.
    fn is_right(&self, instance: &Instance, blocks: usize) -> Option<f64> {
        let reading = &instance.readings()[blocks - 1];
        let token = match self.applied.vocab {
            Vocab::Candidates { .. } if blocks < instance.readings().len() => {
                reading.candidates.map(|own| own.first)
            }
            _ => Some(reading.full.first),
        };
        Some(f64::from(token == Some(instance.gold?)))
    }
}

/// The clustered mean over the instances that have a value; `value` receives the index and the instance.
fn over(instances: &[Instance], value: impl Fn(usize, &Instance) -> Option<f64>) -> ClusteredMean {
    let mut mean = ClusteredMean::new();
    let mut first = 0;
    for cluster in instances.chunk_by(|a, b| a.cluster == b.cluster) {
        let places = cluster.iter().enumerate();
        let values = places.filter_map(|(at, instance)| value(first + at, instance));
        let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        if count > 0 {
            mean.push(sum, count);
        }
        first += cluster.len();
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::early_exit::readings::Position;
    use ndarray::array;

    #[test]
    fn the_head_is_read_as_far_as_the_rule_looks() {
        let four = "top:4@15";
        for (rule, vocab, [least, every], blocks, expected) in [
            (Rule::Gap, "full", [1, 1], 3, 300),
            (Rule::Gap, "full", [4, 1], 5, 200),
            (Rule::Gap, "full", [1, 2], 5, 300), // and the last
            (Rule::Patience, "full", [1, 2], 5, 500),
            (Rule::Gap, "options", [1, 1], 3, 6),
            (Rule::Gap, four, [1, 1], 14, 0),
            (Rule::Gap, four, [1, 1], 15, 100),
            (Rule::Gap, four, [1, 2], 18, 108), // 15, where they are chosen, 16 and 18
            (Rule::Gap, four, [1, 1], 20, 216), // 15, 16 to 19, and the whole head at the end
            (Rule::Gap, "top:400@3", [1, 1], 5, 300),
            (Rule::State, "full", [1, 1], 9, 100),
            (Rule::Fixed, "options", [1, 1], 9, 2),
        ] {
            let mut applied = Applied::new(rule, None, vocab.parse().unwrap());
            (applied.least, applied.every) = (least, every);
            let config = ModelConfig::tiny().with(|c| (c.vocab, c.layers) = (100, 20));
            let found = applied.columns(blocks, &config, 2);
            assert_eq!(found, expected, "{rule} {vocab} {least} {every} {blocks}");
        }
    }

    /// The full model's answer, token 3, is not among the candidates.
    #[test]
    fn a_run_of_all_blocks_has_the_full_models_answer() {
        let logits = array![0.0_f32, 1.0, 2.0, 3.0];
        let reading = Reading::of(logits.view(), &[], &[1, 2], 0.5).unwrap();
        let position = Position {
            readings: vec![reading; 2],
            losses: Vec::new(),
        };
        let instance = Instance {
            position,
            gold: Some(3),
            answer: None,
            options: Vec::new(),
            prompt: Vec::new(),
            tokens: 1,
            cluster: 0,
        };
        let task = Read {
            name: "a task".to_owned(),
            training: Vec::new(),
            test: vec![instance],
            too_long: 0,
        };
        let applied = Applied::new(Rule::Gap, None, "top:2@1".parse().unwrap());
        let stopped = Stopped {
            applied: &applied,
            threshold: 0.5,
            task: &task,
            exits: vec![2],
        };
        let after = |blocks: usize| {
            let instance = &task.test[0];
            let is_right = stopped.is_right(instance, blocks);
            (stopped.agrees(instance, blocks), is_right)
        };
        assert_eq!(after(1), (0.0, Some(0.0)));
        assert_eq!(after(2), (1.0, Some(1.0)));
    }
}
