//! Goldens from Hugging Face transformers: every folder of `fixtures/parity`, every site, in f32 and f64.

use layerwise_architecture::Family;
use layerwise_schedule::{Edit, Schedule, Source};
use layerwise_transformer::{
    Constants, Differences, Model, Recording, Site, Taken, Values, check_site,
};
use ndarray::{ArrayD, ArrayViewD, Axis, Zip};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn cases(golden: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(golden).exists())
        .collect();
    folders.sort();
    folders
}

fn numbers(golden: &SafeTensors<'_>, name: &str) -> Option<ArrayD<f64>> {
    let tensor = golden.tensor(name).ok()?;
    let values: Vec<f64> = match tensor.dtype() {
        Dtype::F32 => tensor
            .data()
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        Dtype::F64 => tensor
            .data()
            .chunks(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
            .collect(),
        Dtype::I64 => tensor
            .data()
            .chunks(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
            .collect(),
        other => panic!("{name} is {other:?}"),
    };
    Some(ArrayD::from_shape_vec(tensor.shape(), values).unwrap())
}

fn ids(golden: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let numbers = numbers(golden, name).unwrap();
    numbers.iter().map(|id| *id as u32).collect()
}

fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |most, value| {
        if value.abs() > most || value.is_nan() {
            value.abs()
        } else {
            most
        }
    })
}

/// Compares one tensor with its f32 and f64 goldens; the differences are those of the worst element.
fn compare(
    golden: &SafeTensors<'_>,
    at: &str,
    key: impl Fn(&str) -> String,
    got: ArrayViewD<'_, f32>,
) -> Result<(), String> {
    let single = numbers(golden, &key("f32")).ok_or(format!("{at}: no f32 golden"))?;
    let double = numbers(golden, &key("f64")).ok_or(format!("{at}: no f64 golden"))?;
    if got.shape() != single.shape() {
        return Err(format!(
            "{at}: shape {:?}, expected {:?}",
            got.shape(),
            single.shape()
        ));
    }
    let got = got.mapv(f64::from);
    let scale = largest(single.iter().copied());
    let off = largest(&got - &single);
    if off.is_nan() || off > Differences::TOLERANCE * scale {
        return Err(format!(
            "{at}: off by {off:e} from the f32 golden, whose largest value is {scale:e}"
        ));
    }
    let theirs = largest(&single - &double);
    let ours = largest(&got - &double);
    // One rounding of the largest value is always allowed, because the golden's own error can be 0 by chance.
    if ours.is_nan()
        || ours > (Differences::ERROR_RATIO * theirs).max(scale * f64::from(f32::EPSILON))
    {
        return Err(format!(
            "{at}: off by {ours:e} from the f64 golden, Hugging Face by {theirs:e}"
        ));
    }
    Ok(())
}

/// Checks every site of a case, in the order of the forward pass; the first failure is the first divergent site.
fn check(folder: &Path, golden: &SafeTensors<'_>) -> Result<usize, String> {
    let model = Model::open(folder).map_err(|error| error.to_string())?;
    let tokens = ids(golden, "tokens");
    let sites: Vec<Site> = Site::ALL
        .iter()
        .copied()
        .filter(|site| check_site(model.config(), *site).is_ok())
        .collect();
    let mut recording = Recording::of(model.config(), &sites).unwrap();
    let plain = Schedule::plain(model.stack()).unwrap();
    model
        .observed_logits(&tokens, &plain, &mut recording)
        .map_err(|error| error.to_string())?;
    for (address, activation) in recording.activations() {
        let place = address
            .block
            .map_or(String::new(), |block| format!("{block}/"));
        let key = |precision: &str| format!("{precision}/{place}{}", address.site);
        compare(golden, &key("site"), key, activation.view())?;
    }
    let expected = golden
        .names()
        .iter()
        .filter(|name| name.starts_with("f32/"))
        .count();
    if recording.activations().len() != expected {
        return Err(format!(
            "{} sites, expected {expected}",
            recording.activations().len()
        ));
    }
    Ok(expected)
}

fn collect_failures(
    file: &str,
    test: impl Fn(&Path, &SafeTensors<'_>) -> Result<usize, String>,
) -> usize {
    let mut compared = 0;
    let mut failures = Vec::new();
    for folder in cases(file) {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        match test(&folder, &golden) {
            Ok(count) => compared += count,
            Err(failure) => failures.push(format!(
                "{}: {failure}",
                folder.file_name().unwrap().to_string_lossy()
            )),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    compared
}

#[test]
fn every_family_has_goldens() {
    let folders = cases("golden.safetensors").into_iter();
    let families = folders.map(|folder| Model::open(folder).unwrap().config().family);
    let families: BTreeSet<Family> = families.collect();
    assert_eq!(families, Family::all().iter().copied().collect());
}

#[test]
fn every_site_of_every_family_agrees_with_hugging_face() {
    let compared = collect_failures("golden.safetensors", check);
    assert!(compared > 2300, "only {compared} tensors were compared");
}

#[test]
fn altered_schedules_agree_with_hugging_face() {
    let compared = collect_failures("golden.safetensors", |folder, golden| {
        let mut names: Vec<&str> = golden
            .names()
            .into_iter()
            .filter_map(|name| name.strip_prefix("schedule/")?.strip_suffix("/f32/logits"))
            .collect();
        names.sort_unstable();
        if names.is_empty() {
            return Ok(0);
        }
        let model = Model::open(folder).map_err(|error| error.to_string())?;
        let plain = Schedule::plain(model.stack()).unwrap();
        let tokens = ids(golden, "tokens");
        for text in &names {
            let edit: Edit = text.parse().map_err(|error| format!("{text}: {error}"))?;
            let schedule = edit
                .apply(&plain)
                .map_err(|error| format!("{text}: {error}"))?;
            let logits = model
                .logits(&tokens, &schedule)
                .map_err(|error| error.to_string())?;
            let key = |precision: &str| format!("schedule/{text}/{precision}/logits");
            compare(golden, text, key, logits.view().into_dyn())?;
        }
        Ok(names.len())
    });
    assert!(compared > 400, "only {compared} schedules were compared");
}

/// The means that edits take, over positions 1… of the rows of `reference`.
fn means(model: &Model, golden: &SafeTensors<'_>, schedules: &[Schedule], into: &mut Constants) {
    let plain = Schedule::plain(model.stack()).unwrap();
    let reference = numbers(golden, "reference").unwrap();
    let places = schedules.iter();
    let places = places.flat_map(|schedule| schedule.overlay().taken_from(Source::Mean));
    for place in places {
        let mut rows = Vec::new();
        for sequence in reference.outer_iter() {
            let tokens: Vec<u32> = sequence.iter().map(|id| *id as u32).collect();
            let mut taken = Taken::of([place]);
            model.run(&tokens, &plain, &mut taken).unwrap();
            let values = taken.kept()[&place].mapv(f64::from);
            rows.extend(values.outer_iter().skip(1).map(|row| row.to_owned()));
        }
        let mut sum = ArrayD::zeros(rows[0].raw_dim());
        for row in &rows {
            Zip::from(&mut sum)
                .and(row)
                .for_each(|sum, value| *sum += value);
        }
        into.set_mean(place, sum.mapv(|sum: f64| (sum / rows.len() as f64) as f32));
    }
}

#[test]
fn edits_of_values_agree_with_hooks_in_hugging_face() {
    let compared = collect_failures("edits.safetensors", |folder, golden| {
        let model = Model::open(folder).map_err(|error| error.to_string())?;
        let plain = Schedule::plain(model.stack()).unwrap();
        let mut names = golden.names();
        names.sort_unstable();
        let texts: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_suffix("/f32/logits"))
            .collect();
        let made = |text: &&str| {
            let edit: Edit = text.parse().map_err(|error| format!("{text}: {error}"))?;
            let schedule = edit.apply(&plain);
            schedule.map_err(|error| format!("{text}: {error}"))
        };
        let schedules: Vec<Schedule> = texts.iter().map(made).collect::<Result<_, _>>()?;
        let mut constants = Constants::default();
        means(&model, golden, &schedules, &mut constants);
        for name in names.iter().filter_map(|name| name.strip_prefix("vector/")) {
            let tensor = numbers(golden, &format!("vector/{name}")).unwrap();
            let tensor = tensor.mapv(|value| value as f32);
            constants.set_tensor(name.parse().unwrap(), tensor).unwrap();
        }
        let constants = Arc::new(constants);
        let tokens = ids(golden, "tokens");
        let mut compared = 0;
        for (text, schedule) in texts.iter().zip(&schedules) {
            let mut values = Values::of(Arc::clone(&constants));
            for (source, name) in [
                (Source::Plain, "tokens"),
                (Source::Donor, "donor"),
                (Source::Resample, "partner"),
            ] {
                let mut taken = Taken::of(schedule.overlay().taken_from(source));
                let run = model.run(&ids(golden, name), &plain, &mut taken);
                run.map_err(|error| error.to_string())?;
                values.take(source, taken);
            }
            let end = model.run(&tokens, (schedule, &values), &mut ());
            let end = end.map_err(|error| format!("{text}: {error}"))?;
            let logits = model.standard_lens(end.view());
            let key = |precision: &str| format!("{text}/{precision}/logits");
            compare(golden, text, key, logits.view().into_dyn())?;
            assert_eq!(logits.len_of(Axis(0)), tokens.len());
            compared += 1;
        }
        Ok(compared)
    });
    assert!(compared > 340, "only {compared} edits were compared");
}
