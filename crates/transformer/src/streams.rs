//! The residual streams of the last position, one after another.

use crate::values::Program;
use crate::{Model, TransformerError, Workspace};
use layerwise_schedule::{Schedule, Step, Sublayer};
use ndarray::{Array2, s};
use std::convert::Infallible;

/// A residual stream of the last position.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stream {
    /// What produced it: `embedding`, `block 3`, or the text of a step.
    pub made_by: String,
    /// The stream, \[1, model\].
    pub residual: Array2<f32>,
}

impl Model {
    /// The streams of the last position under a schedule: after the embedding, after each block that runs whole, and after each
    /// other step. With `sublayers`, after every step.
    ///
    /// # Errors
    /// As [`Model::run`].
    ///
    /// ```
    /// use layerwise_schedule::Edit;
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let shortened = "keep(0..2)".parse::<Edit>()?.apply(&model.plain())?;
    /// let streams = model.streams(&[0, 5, 3], &shortened, false)?;
    /// let makers: Vec<&str> = streams.iter().map(|stream| stream.made_by.as_str()).collect();
    /// assert_eq!(makers, ["embedding", "block 0", "block 1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn streams(
        &self,
        tokens: &[u32],
        schedule: &Schedule,
        sublayers: bool,
    ) -> Result<Vec<Stream>, TransformerError> {
        let steps = schedule.steps();
        let mut residual = self.embed(tokens)?;
        Program::from(schedule).check(self, &tokens.into())?;
        let last = residual.nrows() - 1;
        let stream = |made_by: String, residual: &Array2<f32>| Stream {
            made_by,
            residual: residual.slice(s![last.., ..]).to_owned(),
        };
        let mut streams = vec![stream("embedding".to_owned(), &residual)];
        let mut workspace = Workspace::new(self, &tokens.into());
        let whole = |at: usize| match (sublayers, steps.get(at..at + 2)) {
            (false, Some([attention, mlp])) => block(attention, mlp),
            _ => None,
        };
        let mut keep = |done: usize, residual: &Array2<f32>, _: &mut Workspace| {
            if let Some(at) = done.checked_sub(1).filter(|at| whole(*at).is_none()) {
                let block = at.checked_sub(1).and_then(whole);
                let made_by =
                    block.map_or_else(|| steps[at].to_string(), |block| format!("block {block}"));
                streams.push(stream(made_by, residual));
            }
            Ok::<(), Infallible>(())
        };
        let Ok(()) = self.run_steps(schedule, &mut residual, &mut workspace, &mut (), &mut keep);
        Ok(streams)
    }
}

/// The block that two steps run, unscaled, as attention and then MLP.
fn block(attention: &Step, mlp: &Step) -> Option<usize> {
    let single = |step: &Step, sublayer: Sublayer| match step {
        Step::Update(parts) => match parts[..] {
            [part] if part.sublayer() == sublayer && part.scale() == 1.0 => Some(part.block()),
            _ => None,
        },
        Step::Branches(_) => None,
    };
    let block = single(attention, Sublayer::Attn)?;
    (single(mlp, Sublayer::Mlp)? == block).then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;
    use layerwise_schedule::Edit;

    #[test]
    fn streams_are_those_of_blocks_or_of_steps() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let plain = model.plain();
        let tokens = [0, 5, 3];
        let made = |schedule: &Schedule, sublayers: bool| -> Vec<String> {
            let streams = model.streams(&tokens, schedule, sublayers).unwrap();
            let end = model.run(&tokens, schedule, &mut ()).unwrap();
            let last = streams.last().unwrap();
            assert_eq!(last.residual, end.slice(s![end.nrows() - 1.., ..]));
            streams.into_iter().map(|stream| stream.made_by).collect()
        };
        let layers = model.config().layers;
        let blocks = (0..layers).map(|block| format!("block {block}"));
        let expected: Vec<String> = std::iter::once("embedding".to_owned())
            .chain(blocks)
            .collect();
        assert_eq!(made(&plain, false), expected);
        assert_eq!(made(&plain, true).len(), 1 + 2 * layers);
        let dropped = "drop_mlp(0)"
            .parse::<Edit>()
            .unwrap()
            .apply(&plain)
            .unwrap();
        let found = made(&dropped, false);
        assert_eq!(found.len(), 1 + layers);
        assert_eq!(found[2..], expected[2..]);
        assert_ne!(found[1], expected[1]);
        for (edit, refused) in [
            ("mean(mlp.out[0])", "mean"),
            ("donor(resid.post[0])", "donor"),
            ("put(mlp.out[0],a)", "a"),
            ("zero(resid.post[0]@50)", "50"),
        ] {
            let edit = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
            let found = model.streams(&tokens, &edit, false).unwrap_err();
            assert!(found.to_string().contains(refused), "{found}");
        }
    }
}
