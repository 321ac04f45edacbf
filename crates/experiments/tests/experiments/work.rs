//! The work that experiments foresee, beside the schedules that they announce.

use super::plain::{no_text, subject};
use layerwise_experiments::core::data::Data;
use layerwise_experiments::core::plain::{self, Observation};
use layerwise_experiments::core::subject::Runs;
use layerwise_experiments::{EXPERIMENTS, cka, lens_entropy};
use layerwise_sweep::{Runner, cost};
use layerwise_transformer::{Model, ModelConfig};

fn model() -> Model {
    Model::random(ModelConfig::tiny().with(|c| c.layers = 6), 1)
}

#[test]
fn experiments_foresee_about_the_work_of_the_schedules_that_they_announce() {
    let model = model();
    let (corpus, options) = no_text();
    let (data, runs) = (
        Data::default(),
        Runs {
            model: (&model).into(),
            runner: Runner::new(),
        },
    );
    let subject = subject(&model, (&corpus, &options), &data, runs);
    let tokens = corpus.tokens();
    let plain = cost::of_plain(&model, tokens);
    let readout = cost::of_steps(&model, 0, 1, tokens);
    let mut checked = Vec::new();
    for experiment in EXPERIMENTS.iter() {
        let needs = experiment.needs();
        if !experiment.has_items() || needs.tokenizer || !needs.corpus {
            continue;
        }
        let id = experiment.id();
        let told = experiment.announce(&subject).unwrap();
        let Some(schedules) = told.iter().find_map(|line| {
            let (before, _) = line.split_once(" schedules on ")?;
            before.rsplit(' ').next()?.parse::<f64>().ok()
        }) else {
            continue;
        };
        let work = experiment.work(&subject).unwrap();
        assert!(
            (0.1 * schedules * plain..=schedules * (plain + readout)).contains(&work),
            "{id}: {work}, of {schedules} schedules of {plain} and {readout}"
        );
        checked.push(id);
    }
    assert!(checked.len() >= 6, "{checked:?}");
}

#[test]
fn the_plain_pass_foresees_readings_through_the_unembedding() {
    let model = model();
    let [lenses, cka]: [&dyn Observation; 2] =
        [&lens_entropy::measure::VIEWS, &cka::measure::STREAMS];
    let work = |observations: &[&dyn Observation]| plain::work(&model, 10, observations);
    let plain = cost::of_plain(&model, 10);
    assert_eq!(work(&[]), plain);
    assert_eq!(work(&[cka]), plain);
    // Two lenses read seven residual streams; an observation that is wanted twice is made once.
    let read = cost::of_steps(&model, 0, 2 * 7, 10);
    assert_eq!(work(&[lenses, cka, lenses]), plain + read);
}
