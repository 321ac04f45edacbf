//! The loss, the choices, the continuations and the bytes of every variant.
//!
//! Similarities determine the variants, so each share of a run measures all similarities, and its part of the rest.

use super::Tasks;
use super::plan::{altered, plan};
use super::second_order;
use super::similarity::Similarities;
use super::table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{self, FRACTIONS, Family, Kind, Variant, plain_variants};
use super::writing::{CONTINUATION, Difference, written};
use crate::core::choices::{Answers, Choosing};
use crate::core::clock::{self, Times};
use crate::core::error::{ExperimentError, OfShare};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::Schedule;
use layerwise_sweep::{Divergence, Statistics, collect, cost};
use layerwise_transformer::{Cost, Precision};

/// The most sequences that the loss is measured on; the same number of others is used for similarities.
const SEQUENCES: usize = 64;
/// The most sequences for similarities of the remaining parts, which are measured again after each part that is left out.
const SEQUENCES_ONE_BY_ONE: usize = 16;
/// The most prompts to continue.
const PROMPTS: usize = 64;
/// Tokens of a prompt; its sequence has at least twice as many.
const PROMPT: usize = 64;
/// Tokens in the cache for which bytes are reported.
const CACHED: [usize; 3] = [32, 512, 2048];

/// The sequences of the text for measuring the loss, and those for estimating similarities: none in a text of one sequence, since
/// no sequence may serve both.
fn split(all: &[Vec<u32>]) -> (Vec<Vec<u32>>, Vec<&Vec<u32>>) {
    let own = all.iter().step_by(2).take(SEQUENCES).cloned().collect();
    let others = all.iter().skip(1).step_by(2).take(SEQUENCES);
    (own, others.collect())
}

/// Prompts and their number: one for each sequence that is long enough.
fn prompts(subject: &Subject<'_>, most: usize) -> Vec<Vec<u32>> {
    let context = subject.model.config().context;
    let (own, _) = split(subject.text.sequences());
    let prompts = own.iter().filter_map(|tokens| {
        let length = PROMPT.min(tokens.len() / 2);
        (length > 0 && length + CONTINUATION <= context).then(|| tokens[..length].to_vec())
    });
    prompts.take(most).collect()
}

/// The number of variants for a model with this many blocks, and of those with tasks.
fn variant_counts(layers: usize, has_similarities: bool) -> (usize, usize) {
    let plain = plain_variants(layers);
    let with_tasks = plain
        .iter()
        .filter(|variant| variant.family.has_tasks())
        .count();
    let of_model = FRACTIONS
        .iter()
        .filter(|fraction| (1..layers).contains(&variants::count(**fraction, layers)))
        .filter(|_| has_similarities)
        .count();
    // By similarity the three kinds and both kinds together; one by one, the three kinds.
    (plain.len() + 7 * of_model, with_tasks + 4 * of_model)
}

/// Describes the runs.
///
/// # Errors
/// An item cannot be encoded, or the user interrupts.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let layers = subject.model.config().layers;
    let (own, others) = split(subject.text.sequences());
    let (all, with_tasks) = variant_counts(layers, !others.is_empty());
    let mut told = vec![format!(
        "sublayer-skip: {all} schedules on {} sequences, similarities on {} others",
        own.len(),
        others.len(),
    )];
    if let Some(choosing) = choosing(subject)? {
        told.push(format!(
            "sublayer-skip: {with_tasks} schedules on {}, {} continuations each",
            *choosing,
            prompts(subject, most_prompts(subject)).len()
        ));
    }
    Ok(told)
}

/// The approximate multiply-adds of the runs: every variant counts as a whole model.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let (own, others) = split(subject.text.sequences());
    let (all, with_tasks) = variant_counts(subject.model.config().layers, !others.is_empty());
    let own: usize = own.iter().map(Vec::len).sum();
    let others: usize = others.iter().map(|sequence| sequence.len()).sum();
    let chosen = choosing(subject)?.map_or(0, |choosing| choosing.tokens());
    Ok(cost::of_plain(
        subject.model,
        all * own + others + with_tasks * chosen,
    ))
}

/// As many prompts as a task has items, so that one number limits both.
fn most_prompts(subject: &Subject<'_>) -> usize {
    let tasks = subject.data.get::<Tasks>();
    let items = tasks.iter().flat_map(|tasks| &tasks.0);
    let items = items.map(|task| task.items.len()).max();
    items.unwrap_or(PROMPTS).min(PROMPTS)
}

/// The items of all tasks as the model reads them; `None` without tasks or tokenizer.
fn choosing(subject: &Subject<'_>) -> Result<Option<std::sync::Arc<Choosing>>, ExperimentError> {
    let (Some(tasks), Some(tokenizer)) = (subject.data.get::<Tasks>(), subject.tokenizer) else {
        return Ok(None);
    };
    let choosing = subject
        .shared
        .get(|| Choosing::new(subject, tokenizer, &tasks.0))?;
    Ok(Some(choosing))
}

/// Ranks the parts, runs every variant, fills the tables, and reports what was left out.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let mut notes = Vec::new();
    let (own, others) = split(subject.text.sequences());
    let plain = Schedule::plain(subject.model.stack())?;
    let mut variants = plain_variants(subject.model.config().layers);
    if others.is_empty() {
        notes.push(
            "sublayer-skip: similarities are left out, because they need a sequence besides those of the loss: give a longer text"
                .to_owned(),
        );
    } else {
        let similarities = Similarities::of(subject, &others, &plain)?;
        rank(subject, &similarities, tables);
        variants.extend(by_similarity(&similarities));
        variants.extend(one_by_one(subject, &others, &similarities)?);
    }
    let edits = distinct_edits(variants.iter());
    let losses = losses(subject, &edits, &own).if_whole()?;
    let orders = second_order::of(subject, &edits, &own).if_whole()?;
    let with_tasks: Vec<&Variant> = variants.iter().filter(|v| v.family.has_tasks()).collect();
    let chosen_edits = distinct_edits(with_tasks.iter().copied());
    let answers = match choosing(subject)? {
        Some(choosing) => {
            let answers = answered(subject, &choosing, &chosen_edits, tables).if_whole()?;
            answers.map(Some)
        }
        None => Some(None),
    };
    let prompts = prompts(subject, most_prompts(subject));
    let written = written(subject, &chosen_edits, &prompts).if_whole()?;
    let (Some(statistics), Some(orders), Some(answers), Some(written)) =
        (losses, orders, answers, written)
    else {
        return Err(ExperimentError::ShareFinished);
    };
    let cost = Costs::new(subject, &plain);
    let loss_of = |edit: &str| &statistics[position(&edits, edit) + 1].loss_nats;
    for (one, other) in pairs(&variants) {
        let difference = loss_of(&other.edit).difference(loss_of(&one.edit))?;
        tables.push(PairRecord {
            model: subject.name.to_owned(),
            fraction: one.fraction,
            kind: one.kind,
            family: one.family,
            other_kind: other.kind,
            other_family: other.family,
            nll_difference: difference.mean().unwrap_or(f64::NAN),
            nll_difference_se: difference.standard_error(),
            sequences: difference.clusters().len() as u64,
        });
    }
    for kind in Kind::OF_ONE_SORT {
        tables.push(of_plain(
            subject,
            kind,
            answers.as_deref(),
            written[0].len(),
        ));
    }
    let speeds = speeds(subject, &variants, &mut notes)?;
    for variant in &variants {
        let at = position(&edits, &variant.edit);
        let chosen = variant.family.has_tasks();
        let at_chosen = chosen.then(|| position(&chosen_edits, &variant.edit) + 1);
        let schedule = altered(&plain, &variant.edit)?;
        let loss = statistics[at + 1]
            .loss_nats
            .difference(&statistics[0].loss_nats)?;
        let tasks = answers
            .as_ref()
            .zip(at_chosen)
            .map(|(all, at)| Told::of(all, at));
        let tasks = tasks.unwrap_or_default();
        let speed = |cached: usize| {
            let mut own = speeds.iter();
            own.find(|speed| speed.edit == variant.edit && speed.cached == cached)
        };
        let difference = at_chosen.and_then(|at| Difference::of(&written[0], &written[at]));
        tables.push(Record {
            model: subject.name.to_owned(),
            kind: variant.kind,
            family: variant.family,
            fraction: variant.fraction,
            k: variant.k,
            schedule: variant.edit.clone(),
            nll_increase: loss.mean().unwrap_or(f64::NAN),
            nll_increase_se: loss.standard_error(),
            kl_nats: orders[at].kl.mean().unwrap_or(f64::NAN),
            kl_nats_se: orders[at].kl.standard_error(),
            kl_second_order_nats: orders[at].half_variance.mean().unwrap_or(f64::NAN),
            corpus: subject.text.name(),
            benchmark_mean: tasks.mean,
            benchmark_mean_se: tasks.mean_se,
            relative_drop: tasks.relative_drop,
            agreement: tasks.agreement,
            agreement_se: tasks.agreement_se,
            first_difference_mean: difference.as_ref().map(|difference| difference.first),
            identical_share: difference.as_ref().map(|difference| difference.identical),
            continuations: difference.map_or(0, |difference| difference.prompts),
            decode_ratio: speed(512).and_then(|speed| speed.decode[0]),
            decode_ratio_se: speed(512).and_then(|speed| speed.decode[1]),
            predicted_ratio: cost.ratio(&schedule, 512),
            first_token_ratio: speed(512).and_then(|speed| speed.first[0]),
            cache_ratio: cost.cache_ratio(&schedule),
        });
        if variant.family == Family::Latter {
            for cached in CACHED {
                tables.push(SpeedRecord {
                    model: subject.name.to_owned(),
                    kind: variant.kind,
                    fraction: variant.fraction,
                    schedule: variant.edit.clone(),
                    cached_tokens: cached,
                    predicted_ratio: cost.ratio(&schedule, cached),
                    decode_ratio: speed(cached).and_then(|speed| speed.decode[0]),
                    decode_ratio_se: speed(cached).and_then(|speed| speed.decode[1]),
                    repetitions: speed(cached)
                        .and(subject.clock)
                        .map(|clock| clock.budget().repetitions),
                });
            }
        }
    }
    Ok(notes)
}

/// The plain model, as the fraction 0 of a kind.
fn of_plain(
    subject: &Subject<'_>,
    kind: Kind,
    answers: Option<&[Answers]>,
    written: usize,
) -> Record {
    let tasks = answers.map_or_else(Told::default, |answers| Told::of(answers, 0));
    Record {
        model: subject.name.to_owned(),
        kind,
        family: Family::Latter,
        fraction: 0.0,
        k: 0,
        schedule: "id".to_owned(),
        nll_increase: 0.0,
        nll_increase_se: None,
        kl_nats: 0.0,
        kl_nats_se: None,
        kl_second_order_nats: 0.0,
        corpus: subject.text.name(),
        benchmark_mean: tasks.mean,
        benchmark_mean_se: tasks.mean_se,
        relative_drop: tasks.relative_drop,
        agreement: tasks.agreement,
        agreement_se: tasks.agreement_se,
        first_difference_mean: (written > 0).then_some(CONTINUATION as f64),
        identical_share: (written > 0).then_some(1.0),
        continuations: written,
        decode_ratio: None,
        decode_ratio_se: None,
        predicted_ratio: 1.0,
        first_token_ratio: None,
        cache_ratio: 1.0,
    }
}

/// The pairs of variants whose losses claims compare, at every fraction.
fn pairs(variants: &[Variant]) -> Vec<(&Variant, &Variant)> {
    use Family::{FirstBlockZeroKept, Latter, LatterLastKept, Similarity};
    use Kind::{Drop, DropAttn, DropMlp};
    const PAIRS: [[(Kind, Family); 2]; 6] = [
        [(DropAttn, LatterLastKept), (DropMlp, LatterLastKept)],
        [(DropAttn, LatterLastKept), (Drop, LatterLastKept)],
        [(DropAttn, Latter), (DropAttn, FirstBlockZeroKept)],
        [(DropMlp, LatterLastKept), (DropMlp, Latter)],
        [(Drop, LatterLastKept), (Drop, Latter)],
        [(DropAttn, Similarity), (DropAttn, Latter)],
    ];
    let find = |(kind, family): (Kind, Family), fraction: f64| {
        let mut own = variants.iter();
        own.find(|v| (v.kind, v.family, v.fraction) == (kind, family, fraction))
    };
    let each = PAIRS.iter().flat_map(|[one, other]| {
        FRACTIONS
            .iter()
            .filter_map(move |fraction| find(*one, *fraction).zip(find(*other, *fraction)))
    });
    each.collect()
}

/// The distinct edits, in the order of the variants.
fn distinct_edits<'a>(variants: impl Iterator<Item = &'a Variant>) -> Vec<&'a str> {
    let mut edits: Vec<&str> = Vec::new();
    for variant in variants {
        if !edits.contains(&variant.edit.as_str()) {
            edits.push(&variant.edit);
        }
    }
    edits
}

fn position(edits: &[&str], edit: &str) -> usize {
    let found = edits.iter().position(|known| *known == edit);
    found.expect("every variant's edit is in the list")
}

/// The results of a model under schedules.
pub(super) struct Costs {
    cost: Cost,
    plain: Schedule,
    weight: usize,
}

impl Costs {
    /// Bytes of a stored number.
    const NUMBER: usize = size_of::<f32>();

    pub(super) fn new(subject: &Subject<'_>, plain: &Schedule) -> Self {
        Self {
            cost: Cost::new(subject.model.config()),
            plain: plain.clone(),
            weight: match subject.model.precision() {
                Precision::F32 => 4,
                _ => 2,
            },
        }
    }

    /// Bytes read to decode a token in the plain model, divided by those under a schedule.
    pub(super) fn ratio(&self, schedule: &Schedule, cached: usize) -> f64 {
        let bytes = |schedule| {
            let bytes = self
                .cost
                .bytes_of_token(schedule, cached, self.weight, Self::NUMBER);
            bytes as f64
        };
        bytes(&self.plain) / bytes(schedule)
    }

    /// Bytes of the cache under a schedule, divided by those of the plain model.
    fn cache_ratio(&self, schedule: &Schedule) -> f64 {
        let bytes = |schedule| self.cost.bytes_kept(schedule, 1, Self::NUMBER) as f64;
        bytes(schedule) / bytes(&self.plain)
    }
}

/// Measured times of the plain model divided by those of an edit.
struct Speed {
    edit: String,
    cached: usize,
    /// For a decoded token, mean and standard error over repetitions.
    decode: [Option<f64>; 2],
    /// For the time to the first token.
    first: [Option<f64>; 2],
}

/// The lengths of the cache that fit into a context, each with the tokens to run before some are decoded: the last tokens of a
/// cache as long as the context are decoded within it.
fn cached_within(context: usize, decoded: usize) -> Vec<(usize, usize)> {
    let with_prompt = |cached: usize| (cached, cached.min(context.saturating_sub(decoded)));
    let fits = |&(cached, prompt): &(usize, usize)| cached <= context && cached <= 2 * prompt;
    CACHED.into_iter().map(with_prompt).filter(fits).collect()
}

/// The speeds of the last ones of every kind, at each length of the cache that fits into the context; empty without a clock.
/// Notes say which lengths do not fit.
fn speeds(
    subject: &Subject<'_>,
    variants: &[Variant],
    notes: &mut Vec<String>,
) -> Result<Vec<Speed>, ExperimentError> {
    let Some(clock) = subject.clock else {
        return Ok(Vec::new());
    };
    let plain = Schedule::plain(subject.model.stack())?;
    let latter = variants
        .iter()
        .filter(|variant| variant.family == Family::Latter);
    let edits = distinct_edits(latter);
    let altered = edits.iter().map(|edit| altered(&plain, edit));
    let altered = altered.collect::<Result<Vec<Schedule>, _>>()?;
    let mut schedules = vec![&plain];
    schedules.extend(&altered);
    let budget = clock.budget();
    let context = subject.model.config().context;
    let lengths = cached_within(context, budget.decoded);
    let is_left_out = |cached: &usize| lengths.iter().all(|(own, _)| own != cached);
    notes.extend(CACHED.into_iter().filter(is_left_out).map(|cached| {
        format!("sublayer-skip: decoding with {cached} tokens cached is not timed: the context has {context}")
    }));
    let mut speeds = Vec::new();
    for (cached, prompt) in lengths {
        let go_on = || subject.runs.go_on();
        let times = clock::times(subject.model, &schedules, prompt, budget, clock, go_on)?;
        for (edit, at) in edits.iter().zip(1..) {
            let ratio = |of: fn(&Times) -> f64| {
                clock::over(times.iter().map(|times| of(&times[0]) / of(&times[at])))
            };
            speeds.push(Speed {
                edit: (*edit).to_owned(),
                cached,
                decode: ratio(|times| times.decode),
                first: ratio(|times| times.first),
            });
        }
    }
    Ok(speeds)
}

fn rank(subject: &Subject<'_>, similarities: &Similarities, tables: &mut Tables) {
    for (at, kind) in Kind::OF_ONE_SORT.into_iter().enumerate() {
        let ranked = similarities.ranked(at);
        for (source, mean) in similarities.of_kind(at).iter().enumerate() {
            let place = ranked.iter().position(|(block, _)| *block == source);
            tables.push(SimilarityRecord {
                model: subject.name.to_owned(),
                kind,
                source,
                similarity_mean: mean.mean().unwrap_or(f64::NAN),
                similarity_se: mean.standard_error(),
                rank: place.map_or(0, |place| place + 1),
            });
        }
    }
}

/// The variants that leave out the parts that change their input least.
fn by_similarity(similarities: &Similarities) -> Vec<Variant> {
    let mut variants = Vec::new();
    let layers = similarities.of_kind(0).len();
    for (at, kind) in Kind::OF_ONE_SORT.into_iter().enumerate() {
        let ranked: Vec<usize> = similarities
            .ranked(at)
            .iter()
            .map(|(block, _)| *block)
            .collect();
        for fraction in FRACTIONS {
            let k = variants::count(fraction, layers);
            if (1..layers).contains(&k) {
                variants.push(Variant::new(
                    kind,
                    Family::Similarity,
                    fraction,
                    &ranked[..k],
                ));
            }
        }
    }
    let mut both: Vec<(usize, usize, f64)> = (0..2)
        .flat_map(|kind| {
            let ranked = similarities.ranked(kind).into_iter();
            ranked.map(move |(block, value)| (kind, block, value))
        })
        .collect();
    both.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    for fraction in FRACTIONS {
        let k = variants::count(fraction, 2 * layers);
        if !(1..layers).contains(&variants::count(fraction, layers)) {
            continue;
        }
        let of = |kind: usize| -> Vec<usize> {
            let chosen = both[..k].iter().filter(|part| part.0 == kind);
            chosen.map(|part| part.1).collect()
        };
        variants.push(Variant::of_both(fraction, &of(0), &of(1)));
    }
    variants
}

/// The variants that leave out parts one by one, each time the part that changes its input least among those left.
fn one_by_one(
    subject: &Subject<'_>,
    sequences: &[&Vec<u32>],
    plain: &Similarities,
) -> Result<Vec<Variant>, ExperimentError> {
    let layers = subject.model.config().layers;
    let sequences = &sequences[..SEQUENCES_ONE_BY_ONE.min(sequences.len())];
    let base = Schedule::plain(subject.model.stack())?;
    let counts = FRACTIONS.map(|fraction| variants::count(fraction, layers));
    let most = counts.into_iter().max().unwrap_or(0);
    let mut variants = Vec::new();
    for (at, kind) in Kind::OF_ONE_SORT.into_iter().enumerate() {
        let mut gone: Vec<usize> = Vec::new();
        let mut of_rest: Option<Similarities> = None;
        while gone.len() < most.min(layers.saturating_sub(1)) {
            let ranked = of_rest.as_ref().unwrap_or(plain).ranked(at);
            let next = ranked.iter().find(|(block, _)| !gone.contains(block));
            let Some(&(next, _)) = next else { break };
            gone.push(next);
            for (fraction, _) in FRACTIONS
                .iter()
                .zip(counts)
                .filter(|(_, k)| *k == gone.len())
            {
                variants.push(Variant::new(kind, Family::OneByOne, *fraction, &gone));
            }
            if gone.len() < most {
                let edit = Variant::new(kind, Family::OneByOne, 0.0, &gone).edit;
                let schedule = altered(&base, &edit)?;
                of_rest = Some(Similarities::of(subject, sequences, &schedule)?);
            }
        }
    }
    Ok(variants)
}

/// The losses under all edits, the plain model's first.
fn losses(
    subject: &Subject<'_>,
    edits: &[&str],
    sequences: &[Vec<u32>],
) -> Result<Vec<Statistics>, ExperimentError> {
    let plan = plan(subject, edits)?;
    let measured = subject.runs.measure(&plan, &Divergence::new(), sequences)?;
    let sums = measured.results.iter().map(Vec::as_slice);
    Ok(collect(plan.entries().len(), sums))
}

/// The answers to all tasks under all edits, the plain model's first; fills the table of tasks.
fn answered(
    subject: &Subject<'_>,
    choosing: &Choosing,
    edits: &[&str],
    tables: &mut Tables,
) -> Result<Vec<Answers>, ExperimentError> {
    let Some(tasks) = subject.data.get::<Tasks>() else {
        return Ok(Vec::new());
    };
    let plan = plan(subject, edits)?;
    let answers = choosing.answers("sublayer-skip-tasks", subject, &plan, &tasks.0)?;
    for answers in &answers {
        let plain = answers.accuracy(0);
        for schedule in 0..=edits.len() {
            let accuracy = answers.accuracy(schedule);
            let change = accuracy.difference(&plain)?;
            let by_length = answers.accuracy_by_length(schedule);
            let name = schedule.checked_sub(1).map_or("id", |at| edits[at]);
            tables.push(TaskRecord {
                model: subject.name.to_owned(),
                schedule: name.to_owned(),
                task: answers.task.clone(),
                items: answers.items() as u64,
                accuracy: accuracy.mean().unwrap_or(f64::NAN),
                accuracy_se: accuracy.standard_error(),
                accuracy_by_length: by_length.mean(),
                accuracy_by_length_se: by_length.standard_error(),
                change: change.mean().unwrap_or(f64::NAN),
                change_se: change.standard_error(),
                agreement: answers.agreement(schedule).and_then(|own| own.mean()),
            });
        }
    }
    Ok(answers)
}

/// The results of all tasks together under one schedule.
#[derive(Default)]
struct Told {
    mean: Option<f64>,
    mean_se: Option<f64>,
    relative_drop: Option<f64>,
    agreement: Option<f64>,
    agreement_se: Option<f64>,
}

impl Told {
    fn of(answers: &[Answers], schedule: usize) -> Self {
        let mean = |schedule: usize| {
            let means: Option<Vec<f64>> = answers
                .iter()
                .map(|task| task.accuracy(schedule).mean())
                .collect();
            let means = means.filter(|means| !means.is_empty())?;
            Some(means.iter().sum::<f64>() / means.len() as f64)
        };
        let errors: Option<f64> = answers
            .iter()
            .map(|task| {
                task.accuracy(schedule)
                    .standard_error()
                    .map(|error| error * error)
            })
            .sum();
        let mut agreement = ClusteredMean::new();
        for own in answers.iter().filter_map(|task| task.agreement(schedule)) {
            for cluster in own.clusters() {
                agreement.push(cluster.sum, cluster.count);
            }
        }
        let (plain, own) = (mean(0), mean(schedule));
        Self {
            mean: own,
            mean_se: errors
                .filter(|_| !answers.is_empty())
                .map(|sum| sum.sqrt() / answers.len() as f64),
            relative_drop: plain
                .zip(own)
                .filter(|(plain, _)| *plain > 0.0)
                .map(|(plain, own)| (plain - own) / plain),
            agreement: agreement.mean(),
            agreement_se: agreement.standard_error(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_sweep::{Likelihood, Rule};
    use layerwise_tasks::{Item, Task};

    /// Two schedules that both fail to write a word need not write the same.
    #[test]
    fn only_choices_among_options_agree() {
        let answers = |rule: Rule, schedules: [[f64; 2]; 2]| {
            let mut task = Task::new("a task", rule);
            task.items = vec![Item::new("x", ["y", "z"]).answered(0)];
            let score = |values: [f64; 2]| {
                let likelihoods = values.map(|log_likelihood| Likelihood {
                    log_likelihood,
                    greedy: false,
                });
                task.score(0, &likelihoods)
            };
            Answers {
                task: task.name.clone(),
                rule,
                scores: vec![schedules.map(score).to_vec()],
            }
        };
        let wrong = answers(Rule::Greedy, [[-9.0, -9.0]; 2]);
        let chosen = answers(Rule::Choice, [[-1.0, -2.0], [-2.0, -1.0]]);
        assert_eq!(Told::of(std::slice::from_ref(&wrong), 1).agreement, None);
        assert_eq!(Told::of(&[wrong, chosen], 1).agreement, Some(0.0));
    }

    #[test]
    fn lengths_beyond_the_context_are_left_out() {
        let check = |context: usize, expected: &[(usize, usize)]| {
            assert_eq!(cached_within(context, 128), expected, "{context}");
        };
        check(100, &[]);
        check(256, &[(32, 32)]);
        check(511, &[(32, 32)]);
        check(512, &[(32, 32), (512, 384)]);
        check(2047, &[(32, 32), (512, 512)]);
        check(2048, &[(32, 32), (512, 512), (2048, 1920)]);
    }

    #[test]
    fn no_sequence_serves_for_the_loss_and_for_similarities() {
        let check = |sequences: usize, expected: [&[u32]; 2]| {
            let all: Vec<Vec<u32>> = (0..sequences as u32).map(|at| vec![at]).collect();
            let (own, others) = split(&all);
            assert_eq!(own.concat(), expected[0], "{sequences}");
            let others: Vec<u32> = others.into_iter().flatten().copied().collect();
            assert_eq!(others, expected[1], "{sequences}");
        };
        check(1, [&[0], &[]]);
        check(2, [&[0], &[1]]);
        check(5, [&[0, 2, 4], &[1, 3]]);
        assert_eq!(variant_counts(8, false).0, plain_variants(8).len());
        assert!(variant_counts(8, true).0 > plain_variants(8).len());
    }
}
