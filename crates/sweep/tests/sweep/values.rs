//! Edits of values through the engine: many programs together have the bits of each one alone.

use layerwise_architecture::{Attention, PerLayer};
use layerwise_schedule::{Bounds, Edit, EditFamily, Schedule, Site, Source};
use layerwise_sweep::{
    Begun, Budget, Failure, Journals, Measure, MeasureId, Plan, Progress, Reached, Resampling,
    Runner, Sources, SweepError, partners, partners_among,
};
use layerwise_transformer::{Batch, Constants, Model, ModelConfig, Taken, Values};
use ndarray::{ArrayD, IxDyn};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

/// The bits of the last stream and, at the end of the plain run, of the donor's.
struct Streams;

/// A sequence and its donor.
type Pair = (Vec<u32>, Vec<u32>);

impl Measure for Streams {
    type Item = Pair;
    type Observer<'a> = ();
    type Reference = ();
    type Sums = Vec<f32>;

    fn id(&self) -> MeasureId {
        MeasureId::new("streams", 1)
    }

    fn batch(&self, item: &Pair) -> Batch {
        (&item.0).into()
    }

    fn donor(&self, item: &Pair) -> Option<Batch> {
        (!item.1.is_empty()).then(|| (&item.1).into())
    }

    fn plain(&self, reached: &Reached<'_, Pair>, _: Option<()>) -> Result<((), Vec<f32>), Failure> {
        let donor = reached
            .donor
            .iter()
            .flat_map(|states| states.iter().copied());
        Ok(((), reached.states.iter().copied().chain(donor).collect()))
    }

    fn altered(&self, reached: &Reached<'_, Pair>, _: &()) -> Result<Vec<f32>, Failure> {
        Ok(reached.states.iter().copied().collect())
    }
}

fn pairs() -> Vec<Pair> {
    let sequence = |seed: u32, len: u32| {
        (0..len)
            .map(|at| (seed * 7 + at * at * 3 + at) % 50)
            .collect()
    };
    [(1, 6), (2, 6), (3, 9), (4, 6), (5, 9)]
        .map(|(seed, len)| (sequence(seed, len), sequence(seed + 20, len)))
        .to_vec()
}

const FAMILIES: [&str; 12] = [
    "zero(attn.head_out[l,h])",
    "mean(attn.head_out[l,h])",
    "resample(attn.head_out[l,h])",
    "donor(resid.post[l]@-1)",
    "zero(attn.out[0]);plain(mlp.out[l])",
    "drop(l);zero(attn.head_out[2,1])",
    "plain(attn.pattern[l]);scale(mlp.post[0],0.5)",
    "donor(embed)",
    "add(resid.pre[l],v,0.5)",
    "window(l,2)",
    "cut(l,0,3..,0..2)",
    "drop_mlp(l);resample(resid.post[l]@2)",
];

fn sources(model: &Model, plan: &Plan, items: &[Pair]) -> Sources {
    let mut constants = Constants::default();
    let c = model.config();
    for place in plan.taken_from(Source::Mean) {
        constants.set_mean(place, ArrayD::from_elem(IxDyn(&[c.heads, c.head]), 0.3));
    }
    let steering = ArrayD::from_elem(IxDyn(&[c.model]), -0.2);
    constants
        .set_tensor("v".parse().unwrap(), steering)
        .unwrap();
    let sequences: Vec<Vec<u32>> = items.iter().map(|item| item.0.clone()).collect();
    let found = partners(&sequences, 3);
    let partners = found
        .iter()
        .map(|at| sequences[at.unwrap()].clone())
        .collect();
    Sources::default().constants(constants).partners(partners)
}

#[test]
fn programs_together_are_each_alone_on_any_number_of_threads() {
    for config in [ModelConfig::tiny(), {
        let mut c = ModelConfig::tiny();
        c.residual = layerwise_architecture::Residual::ParallelTwoNorms;
        c
    }] {
        let model = Model::random(config, 7);
        let families = FAMILIES.map(|text| text.parse::<EditFamily>().unwrap());
        let items = pairs();
        let plan = Plan::new(model.stack(), &families, Bounds::default()).unwrap();
        let plan = {
            let own = sources(&model, &plan, &items);
            plan.with_sources(own)
        };
        assert!(plan.entries().len() > 60 && plan.planned_steps() < plan.naive_steps());
        let on = |threads| {
            let runner = Runner::new().threads(NonZeroUsize::new(threads).unwrap());
            runner
                .measure(&model, &plan, &Streams, &items)
                .unwrap()
                .results
        };
        let results = on(1);
        assert_eq!(results, on(4));
        for (at, (item, partner)) in items.iter().zip(plan.sources().partners.iter()).enumerate() {
            let plain = Schedule::plain(model.stack()).unwrap();
            for (entry, found) in plan.entries().iter().zip(&results[at]) {
                let schedule = &entry.member.schedule;
                let mut values = Values::of(Arc::clone(&plan.sources().constants));
                for (source, tokens) in [
                    (Source::Plain, &item.0),
                    (Source::Donor, &item.1),
                    (Source::Resample, partner),
                ] {
                    let mut taken = Taken::of(schedule.overlay().taken_from(source));
                    model.run(tokens, &plain, &mut taken).unwrap();
                    values.take(source, taken);
                }
                let expected = model.run(&item.0, (schedule, &values), &mut ()).unwrap();
                assert_eq!(
                    found[..expected.len()],
                    *expected.as_slice().unwrap(),
                    "{}",
                    entry.member.edit
                );
            }
            let donor = model.run(&item.1, &plain, &mut ()).unwrap();
            assert_eq!(
                results[at][0][item.0.len() * model.config().model..],
                *donor.as_slice().unwrap()
            );
        }
    }
}

#[test]
fn means_are_those_of_the_reference_whatever_the_threads() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let sequences: Vec<Vec<u32>> = pairs().into_iter().map(|pair| pair.0).collect();
    let places = [(Some(1), Site::AttnHeadOut), (None, Site::Embed)];
    let with = |threads| {
        let mut constants = Constants::default();
        let runner = Runner::new().threads(NonZeroUsize::new(threads).unwrap());
        let places = places.into_iter().collect();
        layerwise_sweep::add_means(&mut constants, &runner, &model, &sequences, &places).unwrap();
        constants
    };
    let found = with(1);
    assert_eq!(found, with(3));
    let plain = Schedule::plain(model.stack()).unwrap();
    for place in places {
        let (mut sum, mut count) = (None::<ArrayD<f64>>, 0.0);
        for sequence in &sequences {
            let mut taken = Taken::of([place]);
            model.run(sequence, &plain, &mut taken).unwrap();
            for row in taken.kept()[&place].axis_iter(ndarray::Axis(0)).skip(1) {
                let row = row.mapv(f64::from);
                sum = Some(sum.map_or(row.clone(), |sum| sum + &row));
                count += 1.0;
            }
        }
        let expected = sum.unwrap() / count;
        let found = found.mean(place).unwrap().mapv(f64::from);
        assert!(
            (found - expected).iter().all(|off| off.abs() < 1e-6),
            "{place:?}"
        );
    }
}

#[test]
fn means_are_kept_in_parts_and_taken_up() {
    /// The number of items that a run had left to do.
    #[derive(Default)]
    struct Left(Mutex<Vec<usize>>);
    impl Progress for Left {
        fn begin(&self, run: &Begun<'_>) {
            self.0.lock().unwrap().push(run.items);
        }
        fn finished(&self, _: usize) {}
        fn end(&self) {}
    }
    let model = Model::random(ModelConfig::tiny(), 7);
    let sequences: Vec<Vec<u32>> = (0..130)
        .map(|at| vec![at % 50, (at * 7) % 50, (at * 3 + 1) % 50])
        .collect();
    let places = [(Some(1), Site::MlpPost)].into_iter().collect();
    let folder = tempfile::tempdir().unwrap();
    let left = Left::default();
    let made = |runner: Runner<'_>, sequences: &[Vec<u32>]| {
        let mut constants = Constants::default();
        layerwise_sweep::add_means(&mut constants, &runner, &model, sequences, &places).unwrap();
        constants
    };
    let plain = made(Runner::new(), &sequences);
    let kept = || {
        let journals = Journals::Folder(folder.path().to_owned());
        Runner::new().journals(journals).progress(&left)
    };
    // A share sums up the whole text; the second run finds everything that the first has finished.
    assert_eq!(
        made(kept().shard("1/3".parse().unwrap()), &sequences),
        plain
    );
    assert_eq!(made(kept(), &sequences), plain);
    assert_ne!(made(kept(), &sequences[..64]), plain);
    assert_eq!(*left.0.lock().unwrap(), [44, 0, 64]);
}

#[test]
fn what_is_missing_is_refused_before_a_run() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let check = |edit: &str, items: &[Pair], expected: &str| {
        let plan = Plan::new(model.stack(), &[edit.parse().unwrap()], 4096).unwrap();
        let error = Runner::new()
            .measure(&model, &plan, &Streams, items)
            .unwrap_err();
        assert_eq!(error.to_string(), expected, "{edit}");
    };
    let items = pairs();
    let single: Vec<Pair> = items
        .iter()
        .map(|item| (item.0.clone(), Vec::new()))
        .collect();
    check(
        "mean(attn.out[1])",
        &items,
        "edit `mean(attn.out[1])`: `mean(attn.out[1,0..32])` takes means of a reference text, which this run was not given",
    );
    check(
        "put(attn.out[1],v)",
        &items,
        "edit `put(attn.out[1],v)`: `put(attn.out[1,0..32],v)` takes a tensor `v`, which this run was not given",
    );
    check(
        "donor(embed)",
        &single,
        "edit `donor(embed)`: it takes values of paired sequences, but the items are not pairs",
    );
    check(
        "resample(embed)",
        &items,
        "edit `resample(embed)`: each sequence needs another one of the same length; give a reference text that has some",
    );
    let few = Plan::new(model.stack(), &["resample(embed)".parse().unwrap()], 4096).unwrap();
    let few = few.with_sources(Sources::default().partners(vec![items[0].0.clone()]));
    let error = Runner::new().measure(&model, &few, &Streams, &items);
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, SweepError::NoSource { .. }), "{error}");
    let config = ModelConfig::tiny().with(|c| {
        c.attention = PerLayer::same(Attention::default().with(|a| a.window = Some(2)));
    });
    let windowed = Model::random(config, 7);
    let blind = ["cut(0,0,5,4..6)".parse().unwrap()];
    let blind = Plan::new(windowed.stack(), &blind, 4096).unwrap();
    let error = Runner::new().measure(&windowed, &blind, &Streams, &items);
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, SweepError::Schedule { .. }), "{error}");
    check(
        "zero(embed@7)",
        &items,
        "edit `zero(embed@7)`: position 7 is out of range in a sequence of 6 tokens",
    );
    let uneven = [(vec![1, 2, 3, 4], vec![1, 2, 3])];
    check(
        "donor(embed)",
        &uneven,
        "item 0 has 4 tokens, but the sequence that it takes values from has 3; give sequences of equal length",
    );
}

#[test]
fn sources_are_part_of_the_key_and_nothing_else_is() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let items = pairs();
    let plan = Plan::new(
        model.stack(),
        &["add(resid.pre[0],v,1)".parse().unwrap()],
        1,
    )
    .unwrap();
    let with = |value: f32| {
        let mut constants = Constants::default();
        let tensor = ArrayD::from_elem(IxDyn(&[model.config().model]), value);
        constants.set_tensor("v".parse().unwrap(), tensor).unwrap();
        let plan = plan
            .clone()
            .with_sources(Sources::default().constants(constants));
        Runner::key(&model, &plan, &Streams, &items)
    };
    assert_eq!(with(1.0), with(1.0));
    assert_ne!(with(1.0), with(2.0));
    let mut others = items.clone();
    others[0].1[0] += 1;
    assert_ne!(
        Runner::key(&model, &plan, &Streams, &items),
        Runner::key(&model, &plan, &Streams, &others)
    );
}

#[test]
fn a_value_that_is_not_finite_is_found_where_an_edit_makes_it() {
    /// Requires the end of a run to be finite.
    struct Finite;
    impl Measure for Finite {
        type Item = Vec<u32>;
        type Observer<'a> = ();
        type Reference = ();
        type Sums = ();
        fn id(&self) -> MeasureId {
            MeasureId::new("finite", 1)
        }
        fn batch(&self, item: &Vec<u32>) -> Batch {
            item.into()
        }
        fn plain(&self, _: &Reached<'_, Vec<u32>>, _: Option<()>) -> Result<((), ()), Failure> {
            Ok(((), ()))
        }
        fn altered(&self, reached: &Reached<'_, Vec<u32>>, _: &()) -> Result<(), Failure> {
            match reached.states.iter().all(|v| v.is_finite()) {
                true => Ok(()),
                false => Err(Failure::NotFinite { position: 0 }),
            }
        }
    }
    let model = Model::random(ModelConfig::tiny(), 7);
    let edit = "plain(attn.out[1]);scale(resid.mid[1]@2,1e38);scale(mlp.out[1]@2,1e38)";
    let plan = Plan::new(model.stack(), &[edit.parse::<Edit>().unwrap().into()], 1).unwrap();
    let error = Runner::new()
        .measure(&model, &plan, &Finite, &[vec![1, 2, 3], vec![4, 5, 6, 7]])
        .unwrap_err();
    let SweepError::NotFinite {
        item: 0,
        origin: Some(origin),
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (origin.address.block, origin.position),
        (Some(1), 2),
        "{origin}"
    );
    assert!(
        matches!(
            origin.address.site,
            Site::ResidMid | Site::ResidPost | Site::MlpOut
        ),
        "{origin}"
    );
}

/// A reference text may contain the sequences of the run.
#[test]
fn no_sequence_is_resampled_from_itself() {
    let of = |first: u32, length: u32| (first..first + length).collect::<Vec<u32>>();
    let all = [of(0, 10), of(20, 12), of(40, 10)];
    for seed in 0..4 {
        let found = partners_among(&all, &all, seed);
        assert_eq!(found, [Some(2), None, Some(0)]);
    }
    let twice = [of(0, 10), of(0, 10)];
    assert_eq!(partners_among(&twice, &twice, 0), [None, None]);
    assert_eq!(partners_among(&twice, &all, 0), [Some(2), Some(2)]);
    assert_eq!(partners_among(&twice, &[], 0), [None, None]);
}

#[test]
fn what_is_resampled_from_comes_out_of_the_budget() {
    let own = [vec![1, 2], vec![3, 4, 5], vec![6, 7]];
    let others = [vec![8, 9], vec![1, 2, 3, 4]];
    let bytes = 2 * (2 * size_of::<u32>() + size_of::<Vec<u32>>()) as u64;
    let resample = |limit: u64| {
        let budget = Budget::new(Some(limit));
        let found = Resampling::new(&own, Some(&others), 0, &budget, "the partners");
        found.map(|found| (found, budget))
    };
    let (found, budget) = resample(bytes).unwrap();
    assert_eq!(*found.partners, [vec![8, 9], vec![8, 9]]);
    assert_eq!(
        (found.left_out(), &found.kept[..]),
        (1, &[true, false, true][..])
    );
    assert_eq!(budget.left(), Some(0));
    drop(found);
    assert_eq!(budget.left(), Some(bytes));
    let refused = resample(bytes - 1).unwrap_err().to_string();
    assert!(refused.contains("the partners"), "{refused}");
}
