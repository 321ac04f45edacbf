//! `README.md`, generated from the cases.

use crate::{
    Case, Expected, architecture, config, folder, generation, journals, links, numbers, parquet,
    results, runs, safetensors, tasks, text, values,
};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Each test of cases, with its cases.
fn tests() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("safetensors.rs: frames_of_headers", safetensors::frames()),
        (
            "safetensors.rs: contents_of_headers",
            safetensors::headers(),
        ),
        ("safetensors.rs: values_of_tensors", safetensors::values()),
        (
            "safetensors.rs: references_of_comparisons",
            safetensors::references(),
        ),
        ("folder.rs: indices_and_shards", folder::indices()),
        ("folder.rs: kinds_of_files_and_links", folder::kinds()),
        ("config.rs: configs_alone", config::configs()),
        ("config.rs: unusual_configs_that_are_valid", config::valid()),
        (
            "config.rs: configs_against_weights",
            config::against_weights(),
        ),
        (
            "architecture.rs: tensors_of_an_architecture",
            architecture::tensors(),
        ),
        ("text.rs: tokenizers_of_models", text::tokenizers()),
        ("text.rs: texts_and_token_ids", text::corpora()),
        (
            "parquet.rs: rows_and_data_sets_that_cannot_be_read",
            parquet::parquet(),
        ),
        ("runs.rs: schedules_that_cannot_be", runs::schedules()),
        ("values.rs: edits_of_values_that_cannot_be", values::edits()),
        ("values.rs: files_of_named_tensors", values::named_tensors()),
        ("values.rs: pairs_that_are_none", values::files_of_pairs()),
        (
            "values.rs: labels_that_do_not_fit",
            values::files_of_labels(),
        ),
        ("numbers.rs: numbers_that_overflow", numbers::overflows()),
        ("runs.rs: runs_that_cannot_be_taken_up", runs::resuming()),
        (
            "links.rs: files_of_runs_that_are_links_or_pipes",
            links::links(),
        ),
        (
            "journals.rs: journals_that_claim_what_cannot_be",
            journals::claims(),
        ),
        (
            "runs.rs: shards_that_cannot_be_put_together",
            runs::dividing(),
        ),
        ("runs.rs: arguments_that_mean_nothing", runs::arguments()),
        (
            "generation.rs: prompts_and_settings_of_generation",
            generation::generation(),
        ),
        ("tasks.rs: tasks_that_cannot_be_read", tasks::tasks()),
        (
            "tasks.rs: classifiers_that_cannot_be_used",
            tasks::classifiers(),
        ),
        (
            "results.rs: tables_of_results_that_cannot_be_read",
            results::tables(),
        ),
    ]
}

/// What other tests cover: the number, a description, and the test, by file.
const OTHERS: [(u8, &str, &str); 39] = [
    (
        32,
        "misaligned data, all seven ways",
        "safetensors.rs: misaligned_weights_give_the_same_table",
    ),
    (
        49,
        "no permission to read the config or the weights",
        "folder.rs: files_that_may_not_be_read",
    ),
    (
        52,
        "a file that changes its size between looking and mapping",
        "crates/files/src/opened.rs: a_file_that_changed_size_since_it_was_inspected_is_refused",
    ),
    (
        52,
        "a file that changes its size after it was opened",
        "crates/weights/tests/hostile/values.rs: case_52_a_file_that_changes_size_after_opening_is_refused",
    ),
    (
        88,
        "CKA of fewer samples than it needs",
        "crates/metrics/tests/metrics/cka.rs: bad_batches_are_refused_and_leave_nothing",
    ),
    (
        88,
        "CKA of layers without variance",
        "crates/metrics/tests/metrics/cka.rs: layers_without_variance_are_refused",
    ),
    (
        88,
        "KL of logits that are NaN or infinite",
        "crates/metrics/tests/metrics/divergence.rs: bad_logits_are_refused",
    ),
    (
        88,
        "a target or pair of another size",
        "crates/metrics/tests/metrics/divergence.rs: bad_pairs_and_targets_are_refused",
    ),
    (
        88,
        "a probe with one class",
        "crates/metrics/tests/metrics/probe.rs: bad_samples_are_refused",
    ),
    (
        88,
        "one sequence",
        "numbers.rs: one_sequence_has_no_standard_error",
    ),
    (
        88,
        "sequences of three tokens",
        "numbers.rs: the_shortest_sequences_have_statistics",
    ),
    (
        88,
        "constant predictions",
        "numbers.rs: predictions_that_are_constant_have_statistics",
    ),
    (
        89,
        "two processes on one folder",
        "faults.rs: several_processes_on_one_folder",
    ),
    (
        89,
        "a process that holds the journal",
        "xtask/tests/cli/resumed.rs: a_run_is_held_by_one_process",
    ),
    (89, "full disk", "faults.rs: a_disk_that_is_full"),
    (
        89,
        "parts of a unit in a journal that cannot be",
        "crates/journal/src/log.rs: parts_that_cannot_be_are_damage",
    ),
    (
        89,
        "packed weights with a changed byte",
        "crates/weights/src/packs.rs: every_changed_byte_is_found_and_what_was_damaged_is_made_again",
    ),
    (
        89,
        "packed weights that are damaged, truncated or of another model",
        "xtask/tests/cli/packed.rs: a_table_has_the_same_bytes_from_packed_weights",
    ),
    (
        89,
        "files that cannot grow",
        "faults.rs: files_that_cannot_grow",
    ),
    (
        89,
        "read-only folder",
        "faults.rs: a_folder_that_may_not_be_written",
    ),
    (
        89,
        "read-only journal",
        "faults.rs: a_journal_that_may_not_be_written",
    ),
    (89, "clocks that jump", "faults.rs: clocks_that_jump"),
    (
        89,
        "kills while sequences are run",
        "xtask/tests/cli/resumed.rs: killed_runs_go_on_to_the_same_table",
    ),
    (
        89,
        "kills and interrupts while figures are written",
        "faults.rs: figures_that_are_killed_while_they_are_written",
    ),
    (
        90,
        "more threads than the system starts",
        "faults.rs: more_threads_than_the_system_starts",
    ),
    (
        90,
        "paths that are not UTF-8",
        "faults.rs: paths_that_are_not_utf_8",
    ),
    (
        90,
        "a model folder with a name that leads out of the folder of results",
        "crates/hub/src/snapshot.rs: a_model_is_named_by_one_folder",
    ),
    (
        90,
        "closed pipe",
        "xtask/tests/cli/list.rs: a_closed_pipe_is_no_failure",
    ),
    (
        90,
        "interrupt",
        "xtask/tests/cli/resumed.rs: an_interrupted_run_says_how_to_go_on",
    ),
    (
        91,
        "keys and values of another model",
        "crates/transformer/tests/transformer/states.rs: what_does_not_fit_leaves_the_state_as_it_was",
    ),
    (
        91,
        "more tokens than keys and values have room for, and a cut beyond their end",
        "crates/transformer/tests/transformer/states.rs: what_does_not_fit_leaves_the_state_as_it_was",
    ),
    (
        91,
        "constraint that allows nothing",
        "crates/generate/tests/generate/continuations.rs: what_cannot_be_continued_is_refused",
    ),
    (
        91,
        "one prompt of several that cannot be continued",
        "crates/generate/tests/generate/together.rs: an_error_of_one_is_of_that_one_alone",
    ),
    (
        91,
        "schedule without any attention, which is allowed and reported",
        "xtask/tests/cli/generated.rs: a_schedule_without_attention_is_said",
    ),
    (
        91,
        "prompt on the command line that is not UTF-8",
        "xtask/tests/cli/chosen.rs: stop_strings_that_never_come_and_prompts_that_are_no_text",
    ),
    (
        91,
        "stop strings that never come",
        "xtask/tests/cli/chosen.rs: stop_strings_that_never_come_and_prompts_that_are_no_text",
    ),
    (
        91,
        "interrupt while text is written",
        "xtask/tests/cli/chosen.rs: what_was_written_before_an_interrupt_stays",
    ),
    (
        91,
        "closed pipe",
        "xtask/tests/cli/generated.rs: a_reader_that_goes_away_is_no_failure",
    ),
    (
        93,
        "units: sums that are NaN or infinite, counts of 0, no units, one unit, points of different numbers of units",
        "results.rs: units_that_say_nothing_decide_nothing",
    ),
];

fn table() -> String {
    let mut rows: Vec<(u8, String)> = Vec::new();
    for (test, cases) in tests() {
        for case in cases {
            let outcome = match case.expected {
                Expected::Refused => "refused",
                Expected::Stopped => "stopped",
                Expected::Accepted => "accepted",
            };
            let says: Vec<String> = case
                .says
                .iter()
                .map(|part| format!("`` {part} ``"))
                .collect();
            let says = says.join(" ").replace('|', "\\|");
            let row = format!("{} | {outcome} | {test} | {says}", case.what);
            rows.push((case.number, row));
        }
    }
    for (number, what, test) in OTHERS {
        rows.push((number, format!("{what} | | {test} | ")));
    }
    rows.sort_by_key(|(number, _)| *number);
    let mut page = format!(
        "{HEAD}\n| case | input | outcome | test | the message holds |\n|---|---|---|---|---|\n"
    );
    for (number, row) in rows {
        writeln!(page, "| {number} | {row} |").unwrap();
    }
    page.replace("|  |\n", "| |\n")
}

const HEAD: &str = "\
# Bad inputs

Every one of the 93 bad inputs that the project must handle, and where it is tested.
Tests named only by a file are in this folder and run the built program; the others run the libraries.
*Refused*: exit code 1 or 2, a message with the given parts, no panic, no output, within 4 GB of memory.
*Stopped*: the same after a run has begun; its journal stays, and no table is written.
*Accepted*: a result, and a message with the given parts.
Rows without an outcome are tests of another form.
Refused models go through `sweep`, `sweep --no-mmap` and `reproduce`.

`LAYERWISE_WRITE_TABLE=1 cargo test -p xtask --test hostile table` writes this page, and the same test checks it.
";

#[test]
fn the_table_lists_every_case() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let (page, path) = (table(), here.join("README.md"));
    if std::env::var_os("LAYERWISE_WRITE_TABLE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(path).unwrap();
    assert!(
        found == page,
        "README.md is not what the cases say: write it anew"
    );

    let listed = tests().into_iter().flat_map(|(_, cases)| cases);
    let listed = listed.map(|case| case.number);
    let listed: BTreeSet<u8> = listed.chain(OTHERS.map(|(number, ..)| number)).collect();
    let all: BTreeSet<u8> = (1..=93).collect();
    assert_eq!(listed, all);

    let tests = tests().into_iter().map(|(test, _)| test);
    for test in tests.chain(OTHERS.map(|(_, _, test)| test)) {
        let (file, name) = test.split_once(": ").unwrap();
        let path = match file.contains('/') {
            true => here.join("../../..").join(file),
            false => here.join(file),
        };
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {name}()")), "{test}");
    }
}
