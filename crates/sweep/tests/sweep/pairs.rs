//! Pairs of sequences through the engine, compared with the whole logits of each run.

use layerwise_schedule::{Bounds, EditFamily, Schedule, Source};
use layerwise_sweep::{Divergence, Pair, PairStatistics, Patching, Plan, Runner, collect};
use layerwise_transformer::{Model, ModelConfig, Taken, Values};
use std::num::NonZeroUsize;

fn pairs() -> Vec<Pair> {
    let sequence = |seed: u32, len: u32| -> Vec<u32> {
        (0..len)
            .map(|at| (seed * 7 + at * at * 3 + at) % 50)
            .collect()
    };
    let pair = |(seed, len): (u32, u32)| {
        let pair = Pair::new(sequence(seed, len), sequence(seed + 20, len));
        pair.deciding(Some(seed), (seed != 3).then_some(seed + 1))
    };
    [(1, 6), (2, 6), (3, 9), (4, 6)].map(pair).to_vec()
}

const FAMILIES: [&str; 4] = [
    "donor(resid.post[l]@3..)",
    "donor(attn.head_out[1,h])",
    "donor(embed)",
    "drop(l)",
];

fn plan(model: &Model) -> Plan {
    let families = FAMILIES.map(|text| text.parse::<EditFamily>().unwrap());
    Plan::new(model.stack(), &families, Bounds::default()).unwrap()
}

#[test]
fn the_last_position_is_that_of_whole_logits_whatever_the_threads() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let (plan, pairs) = (plan(&model), pairs());
    let on = |threads: usize| {
        let runner = Runner::new().threads(NonZeroUsize::new(threads).unwrap());
        let patching = Patching::at_last_position();
        runner
            .measure(&model, &plan, &patching, &pairs)
            .unwrap()
            .results
    };
    let results = on(1);
    assert_eq!(results, on(3));
    let plain = Schedule::plain(model.stack()).unwrap();
    for (pair, results) in pairs.iter().zip(&results) {
        for (entry, found) in plan.entries().iter().zip(results) {
            let schedule = &entry.member.schedule;
            let mut taken = Taken::of(schedule.overlay().taken_from(Source::Donor));
            model.run(&pair.clean, &plain, &mut taken).unwrap();
            let mut values = Values::default();
            values.take(Source::Donor, taken);
            let end = model
                .run(&pair.corrupted, (schedule, &values), &mut ())
                .unwrap();
            let logits = model.standard_lens(end.view());
            let last: Vec<f64> = logits
                .row(logits.nrows() - 1)
                .iter()
                .map(|z| f64::from(*z))
                .collect();
            let answer = pair.answer.unwrap() as usize;
            let sum: f64 = last.iter().map(|z| z.exp()).sum();
            let probability = last[answer].exp() / sum;
            assert!((found.last.answer_probability.unwrap() - probability).abs() < 1e-9);
            let rank = last.iter().filter(|z| **z >= last[answer]).count() as u64;
            assert_eq!(found.last.answer_rank, Some(rank));
            let difference = pair.wrong.map(|wrong| last[answer] - last[wrong as usize]);
            assert_eq!(
                found.last.logit_difference, difference,
                "{}",
                entry.member.edit
            );
        }
    }
}

#[test]
fn a_whole_donor_recovers_everything_and_the_plain_model_nothing() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let (plan, pairs) = (plan(&model), pairs());
    let measured = Runner::new()
        .measure(&model, &plan, &Patching::new(), &pairs)
        .unwrap();
    let results = measured.results.iter().map(Vec::as_slice);
    let statistics = PairStatistics::collect(plan.entries().len(), results);
    let labels = plan.labels();
    let of = |edit: &str| {
        let at = labels.iter().position(|label| label.edit == edit).unwrap();
        &statistics[at]
    };
    let nothing = of("id").recovered.ratio();
    assert_eq!(nothing.map(f64::to_bits), Some(0.0_f64.to_bits()));
    assert_eq!(of("donor(embed)").recovered.ratio(), Some(1.0));
    assert_eq!(
        of("donor(embed)").recovered.clusters(),
        3,
        "nats and probabilities are not added"
    );
    let without_wrong = pairs[2..3].iter();
    let without_wrong: Vec<Pair> = without_wrong.cloned().collect();
    let measured = Runner::new()
        .measure(&model, &plan, &Patching::new(), &without_wrong)
        .unwrap();
    let results = measured.results.iter().map(Vec::as_slice);
    let by_probability = PairStatistics::collect(plan.entries().len(), results);
    assert_eq!(by_probability[0].recovered.clusters(), 1);
    assert_eq!(
        of("id").logit_difference.count(),
        3,
        "one pair has no wrong token"
    );
    assert_eq!(of("id").answer_rank.count(), 4);
    // The divergence is that of the corrupted sequences, which no donor affects.
    let corrupted: Vec<Vec<u32>> = pairs.iter().map(|pair| pair.corrupted.clone()).collect();
    let drops = Plan::new(model.stack(), &["drop(l)".parse().unwrap()], 9).unwrap();
    let alone = Runner::new()
        .measure(&model, &drops, &Divergence::new(), &corrupted)
        .unwrap();
    let alone = collect(
        drops.entries().len(),
        alone.results.iter().map(Vec::as_slice),
    );
    for (label, alone) in drops.labels().iter().zip(&alone) {
        let found = &of(&label.edit).divergence;
        assert_eq!(found.kl_nats, alone.kl_nats, "{}", label.edit);
        assert_eq!(found.loss_nats, alone.loss_nats, "{}", label.edit);
    }
}

#[test]
fn answers_are_part_of_the_key() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let (plan, patching) = (plan(&model), Patching::at_last_position());
    let key = |pairs: &[Pair]| Runner::key(&model, &plan, &patching, pairs);
    let mut others = pairs();
    assert_eq!(key(&pairs()), key(&others));
    others[1].answer = Some(9);
    assert_ne!(key(&pairs()), key(&others));
    assert_ne!(
        key(&pairs()),
        Runner::key(&model, &plan, &Patching::new(), &pairs())
    );
}
