//! Scores sentences with common beginnings together.

use crate::RescoringError;
use layerwise_kernels::vocabulary;
use layerwise_schedule::Schedule;
use layerwise_transcripts::LanguageScore;
use layerwise_transformer::{Batch, Model};
use ndarray::{ArrayView2, Axis};

/// Sentences as branches of their common beginnings.
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// The last node of each sentence; `None` for an empty one.
    ends: Vec<Option<usize>>,
}

struct Node {
    token: u32,
    parent: Option<usize>,
    depth: usize,
    children: Vec<usize>,
}

impl Trie {
    /// Merges the common beginnings of sentences.
    pub(crate) fn new(sentences: &[&[u32]]) -> Self {
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

    /// Runs the model, and scores each sentence: its tokens after the first `unscored` (at least after the first, which nothing
    /// predicts), and the end token after it.
    ///
    /// # Errors
    /// A log-probability is not finite.
    pub(crate) fn score(
        &self,
        model: &Model,
        plain: &Schedule,
        unscored: usize,
        end: Option<u32>,
    ) -> Result<Vec<[LanguageScore; 2]>, RescoringError> {
        let mut scores = vec![[LanguageScore::default(); 2]; self.ends.len()];
        if self.nodes.is_empty() {
            return Ok(scores);
        }
        let (batch, rows) = self.batch();
        let residual = model.run(&batch, plain, &mut ())?;
        let normed = model.final_norm(residual.view());
        // Each scored token, and the row that predicts it.
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
        let found = log_probabilities(model, states.view(), &targets);
        // Parents precede their children.
        let mut totals: Vec<LanguageScore> = Vec::with_capacity(self.nodes.len());
        for (node, place) in self.nodes.iter().zip(&places) {
            let before = node
                .parent
                .map_or_else(LanguageScore::default, |at| totals[at]);
            let own = place.map_or_else(LanguageScore::default, |at| {
                LanguageScore::new(found[at], 1)
            });
            totals.push(before.then(own));
        }
        let mut next_end = first_end;
        for (score, node) in scores.iter_mut().zip(&self.ends) {
            if let Some(node) = *node {
                score[0] = totals[node];
                if end.is_some() {
                    score[1] = LanguageScore::new(found[next_end], 1);
                    next_end += 1;
                }
            }
            let is_finite = score.iter().all(|score| score.log_probability.is_finite());
            if !is_finite {
                return Err(RescoringError::NotFinite);
            }
        }
        Ok(scores)
    }

    /// The batch of all nodes, and the row of each.
    fn batch(&self) -> (Batch, Vec<usize>) {
        let mut batch = Batch::default();
        let mut rows = vec![0; self.nodes.len()];
        let roots = (0..self.nodes.len()).filter(|&at| self.nodes[at].parent.is_none());
        // The position at which a segment begins, and the segment that it continues.
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

/// The log-probabilities, in nats, of one token for each of the normed states \[rows, model\].
pub(crate) fn log_probabilities(
    model: &Model,
    normed: ArrayView2<'_, f32>,
    targets: &[u32],
) -> Vec<f64> {
    let summaries = vocabulary::pass(normed, model.unembedding(), targets);
    let logits = summaries
        .iter()
        .map(|summary| summary.target_logit.map_or(f64::NAN, f64::from));
    let sums = summaries.iter().map(|summary| summary.log_sum_exp);
    logits.zip(sums).map(|(logit, sum)| logit - sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_metrics::divergence;
    use layerwise_transformer::ModelConfig;

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
