//! Continuations of many prompts as a measure, so that a journal keeps each prompt's when they are finished.

use crate::generation::Settings;
use crate::writer::{Continuation, Reader, Run, Writer};
use layerwise_sweep::{Failure, Measure, MeasureId, PlainResults, Reached};
use layerwise_transformer::{Batch, Exit};
use std::error::Error;

/// The continuations of a prompt in all ways of a [`Writer`], as a [`Measure`] under the plain schedule.
///
/// ```
/// use layerwise_generate::{Run, Settings, Way, Writer};
/// use layerwise_sweep::{Plan, Runner};
/// use layerwise_transformer::{Model, ModelConfig};
/// use std::convert::Infallible;
///
/// fn decode(ids: &[u32]) -> Result<String, Infallible> {
///     Ok(ids.iter().map(|id| format!("{id} ")).collect())
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let ways = vec![Way { name: "id".to_owned(), run: Run::<usize>::Under(model.plain()) }];
/// let settings = Settings::default().with(|it| it.max_tokens = 4);
/// let writer = Writer::new(&model, ways, settings, Some(decode), || 0.0);
/// let prompts = [vec![0, 5, 3], vec![2, 9]];
/// // `Runner::journals` would keep what is finished.
/// let plan = Plan::plain(model.stack())?;
/// let found = Runner::new().measure(&model, &plan, &writer.continuations("decode", 2), &prompts)?;
/// let found = found.into_plain();
/// assert_eq!(found.len(), 2); // prompts, each with one continuation in each way
/// assert_eq!(found[1][0].ids.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Continuations<'w, 'a, E, D> {
    writer: &'w Writer<'a, E, D>,
    settings: String,
    together: usize,
}

impl<'a, E, D, X> Writer<'a, E, D>
where
    E: Exit + Clone + Send,
    D: Fn(&[u32]) -> Result<String, X>,
    X: Into<Box<dyn Error + Send + Sync>>,
{
    /// Its continuations of prompts, which are items, as a measure. `together` prompts, at least one, are continued at a time;
    /// [`Writer::most_bytes`] says what memory that takes.
    ///
    /// The key of a run contains the writer's ways and settings. `more` identifies the rest: the texts that the constraint
    /// accepts, and the tokenizer.
    pub fn continuations(&self, more: &str, together: usize) -> Continuations<'_, 'a, E, D> {
        let Settings {
            max_tokens,
            end_tokens,
            sampling,
            cache,
            ..
        } = self.settings();
        let ways = self.ways().iter().map(|way| match &way.run {
            Run::Under(schedule) => format!("{}={schedule}", way.name),
            Run::Exiting(exit, missing) => format!("{}={exit:?} {missing:?}", way.name),
        });
        let ways: Vec<String> = ways.collect();
        let settings = format!(
            "{ways:?} {max_tokens} {end_tokens:?} {sampling:?} {} {:?} {:?} {more}",
            cache.name(),
            self.stops,
            self.beams
        );
        Continuations {
            writer: self,
            settings,
            together: together.max(1),
        }
    }
}

impl<E, D, X> Measure for Continuations<'_, '_, E, D>
where
    E: Exit + Clone + Send + Sync,
    D: Fn(&[u32]) -> Result<String, X> + Sync,
    X: Into<Box<dyn Error + Send + Sync>>,
{
    /// A prompt, in tokens.
    type Item = Vec<u32>;
    type Observer<'b>
        = ()
    where
        Self: 'b;
    type Reference = ();
    type Sums = Vec<Continuation>;

    fn id(&self) -> MeasureId {
        MeasureId::new("continuations", 2).with_settings(self.settings.clone())
    }

    fn unit(&self) -> &'static str {
        "prompt"
    }

    fn title(&self) -> &'static str {
        "generate"
    }

    /// Empty: decoding runs the prompts, and the engine nothing.
    fn batch(&self, _: &Vec<u32>) -> Batch {
        Batch::default()
    }

    fn particulars(&self, prompt: &Vec<u32>) -> Vec<u32> {
        prompt.clone()
    }

    fn weight(&self, prompt: &Vec<u32>) -> usize {
        let context = self.writer.model.config().context;
        self.writer.settings().capacity(prompt.len(), context)
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        _: Option<()>,
    ) -> Result<((), Vec<Continuation>), Failure> {
        let found = self.writer.write(&[reached.item], &mut While(reached));
        Ok(((), found.map_err(|failed| failed.error)?))
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Vec<u32>>],
        _: Vec<Option<()>>,
    ) -> Result<PlainResults<(), Vec<Continuation>>, (usize, Failure)> {
        let ways = self.writer.ways().len();
        let mut all = Vec::new();
        for (part, reached) in reached.chunks(self.together).enumerate() {
            let prompts: Vec<&[u32]> = reached.iter().map(|it| it.item.as_slice()).collect();
            let found = self.writer.write(&prompts, &mut While(&reached[0]));
            let found = found.map_err(|failed| {
                let at = part * self.together + failed.at / ways;
                (at, failed.error)
            })?;
            all.extend(found.chunks(ways).map(|of_one| ((), of_one.to_vec())));
        }
        Ok(all)
    }

    /// Never called: an item without tokens has no altered schedules.
    fn altered(&self, _: &Reached<'_, Vec<u32>>, (): &()) -> Result<Vec<Continuation>, Failure> {
        Ok(Vec::new())
    }

    fn fits(&self, found: &Vec<Continuation>) -> bool {
        found.len() == self.writer.ways().len()
    }
}

/// A reader that ignores everything, until the prompts are given up.
struct While<'r, 'a>(&'r Reached<'a, Vec<u32>>);

impl Reader for While<'_, '_> {
    type Error = Failure;

    fn goes_on(&mut self, _: usize, _: &str) -> Result<(), Failure> {
        Ok(self.0.go_on()?)
    }

    fn has_ended(&mut self, _: usize, _: &Continuation) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beams::Beams;
    use crate::error::GenerateError;
    use crate::writer::Way;
    use layerwise_sweep::{Plan, Runner, SweepError};
    use layerwise_transformer::{Missing, Model, ModelConfig};
    use std::collections::BTreeSet;

    type Decode = fn(&[u32]) -> Result<String, GenerateError>;

    /// A reader that ignores everything.
    struct Unread;

    impl Reader for Unread {
        type Error = GenerateError;

        fn goes_on(&mut self, _: usize, _: &str) -> Result<(), GenerateError> {
            Ok(())
        }

        fn has_ended(&mut self, _: usize, _: &Continuation) -> Result<(), GenerateError> {
            Ok(())
        }
    }

    fn writer(model: &Model, most: usize) -> Writer<'_, usize, Decode> {
        let runs = [
            Run::Under(model.plain()),
            Run::Exiting(1, Missing::Recompute),
        ];
        let ways = runs.into_iter().enumerate().map(|(at, run)| Way {
            name: format!("way {at}"),
            run,
        });
        let decode: Decode = |ids| Ok(ids.iter().map(|id| format!("{id};")).collect());
        let settings = Settings::default().with(|it| it.max_tokens = most);
        Writer::new(model, ways.collect(), settings, Some(decode), || 0.0)
    }

    fn measured(
        model: &Model,
        writer: &Writer<'_, usize, Decode>,
        together: usize,
        prompts: &[Vec<u32>],
    ) -> Result<Vec<Vec<Continuation>>, SweepError> {
        let plan = Plan::plain(model.stack())?;
        let measure = writer.continuations("", together);
        let found = Runner::new().measure(model, &plan, &measure, prompts)?;
        Ok(found.into_plain().to_vec())
    }

    #[test]
    fn each_prompt_has_what_the_writer_writes() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let writer = writer(&model, 4);
        let prompts = [vec![0, 5, 3], vec![2, 9], vec![4]];
        for together in [0, 1, 2, 8] {
            let found = measured(&model, &writer, together, &prompts).unwrap();
            for (prompt, found) in prompts.iter().zip(&found) {
                let expected = writer.write(&[prompt], &mut Unread).unwrap();
                assert_eq!(found, &expected, "{together} {prompt:?}");
            }
        }
    }

    #[test]
    fn the_prompt_and_the_way_that_fail_are_named() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let searching = writer(&model, 4).searching(Some(Beams::new(2)));
        let error = measured(&model, &searching, 2, &[vec![0, 5, 3]]).unwrap_err();
        let says = "prompt 0: way 1: beam search cannot stop tokens early";
        assert!(error.to_string().starts_with(says), "{error}");
        // Prompts before it are continued, in the same part and in the one before.
        let prompts = [vec![0], vec![1], vec![2], Vec::new()];
        let error = measured(&model, &writer(&model, 4), 2, &prompts).unwrap_err();
        let says = "prompt 3: way 0: the sequence is empty";
        assert!(error.to_string().starts_with(says), "{error}");
    }

    #[test]
    fn runs_with_other_settings_have_other_keys() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let writer = || writer(&model, 4);
        let of = |writer: Writer<'_, usize, Decode>, more| writer.continuations(more, 1).id();
        let stopping = writer().stopping_before(vec![";".to_owned()]);
        let searching = writer().searching(Some(Beams::new(2)));
        let all = [
            of(writer(), "a"),
            of(writer(), "b"),
            of(self::writer(&model, 5), "a"),
            of(stopping, "a"),
            of(searching, "a"),
        ];
        let names: BTreeSet<&str> = all.iter().map(|id| id.settings.as_str()).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        assert_eq!(of(writer(), "a"), writer().continuations("a", 9).id());
    }
}
