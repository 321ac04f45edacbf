//! Goldens from Hugging Face transformers: every folder of `fixtures/parity`, every site, in f32 and f64.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Model, Recording, Site, check_site};
use ndarray::{ArrayD, ArrayViewD};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// |Δ| against the f32 golden, as a fraction of the tensor's largest value.
const F32_TOLERANCE: f64 = 5e-5;
/// |Δ| against the f64 golden, as a multiple of what Hugging Face's own f32 run is off by.
const ERROR_RATIO: f64 = 4.0;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("golden.safetensors").exists())
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

fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |most, value| {
        if value.abs() > most || value.is_nan() {
            value.abs()
        } else {
            most
        }
    })
}

/// Compares with the f32 and the f64 golden of one tensor; the differences are those of the worst element.
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
    if off.is_nan() || off > F32_TOLERANCE * scale {
        return Err(format!(
            "{at}: off by {off:e} from the f32 golden, whose largest value is {scale:e}"
        ));
    }
    let theirs = largest(&single - &double);
    let ours = largest(&got - &double);
    // One rounding of the largest value is always allowed: their error can be 0 by chance.
    if ours.is_nan() || ours > (ERROR_RATIO * theirs).max(scale * f64::from(f32::EPSILON)) {
        return Err(format!(
            "{at}: off by {ours:e} from the f64 golden, Hugging Face by {theirs:e}"
        ));
    }
    Ok(())
}

/// Every site of a case, in the order of the forward pass; the first failure of a case is its first divergent site.
fn check(folder: &Path, golden: &SafeTensors<'_>) -> Result<usize, String> {
    let model = Model::open(folder).map_err(|error| error.to_string())?;
    let tokens: Vec<u32> = numbers(golden, "tokens")
        .unwrap()
        .iter()
        .map(|id| *id as u32)
        .collect();
    let sites: Vec<Site> = Site::ALL
        .into_iter()
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

fn collect_failures(test: impl Fn(&Path, &SafeTensors<'_>) -> Result<usize, String>) -> usize {
    let mut compared = 0;
    let mut failures = Vec::new();
    for folder in cases() {
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
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
fn every_site_of_every_family_agrees_with_hugging_face() {
    let compared = collect_failures(check);
    assert!(compared > 500, "only {compared} tensors were compared");
}

#[test]
fn altered_schedules_agree_with_hugging_face() {
    let compared = collect_failures(|folder, golden| {
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
        let tokens: Vec<u32> = numbers(golden, "tokens")
            .unwrap()
            .iter()
            .map(|id| *id as u32)
            .collect();
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
    assert!(compared > 30, "only {compared} schedules were compared");
}
