//! The list that the corpus began with, by id: what is no attempt of the program stands in another
//! test, which must be there, or is said to be open.
//!
//! It reads the suite's own sources, so it is run once, like the other checks of that kind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::listing;

/// Ids by letter: how many there are.
const LIST: [(char, usize); 8] = [
    ('X', 21),
    ('P', 27),
    ('N', 27),
    ('F', 24),
    ('I', 17),
    ('K', 18),
    ('T', 14),
    ('R', 10),
];

/// Where the others are: a test of this suite or a unit test, by name.
const TESTED: &[(&str, &str)] = &[
    ("X11", "x11_another_interpreter_with_code_as_argument"),
    ("X12", "x12_an_interpreter_with_code_on_standard_input"),
    ("X14", "x14_a_program_with_the_set_user_bit"),
    ("X18", "every_race_is_lost"),
    (
        "P01",
        "p01_scripts_of_direct_and_transitive_dependencies_and_of_the_project",
    ),
    ("P02", "p02_the_implicit_native_build"),
    ("P03", "p03_p04_keys_that_name_programs_work_in_bare_npm"),
    ("P04", "p03_p04_keys_that_name_programs_work_in_bare_npm"),
    ("P05", "p05_options_for_node_in_the_caller_s_environment"),
    ("P06", "p06_an_authority_of_the_environment_is_not_trusted"),
    ("P07", "p07_executables_that_point_outside_the_package"),
    ("P09", "startup_code_is_found_by_whatever_way_it_comes"),
    ("P10", "startup_code_is_found_by_whatever_way_it_comes"),
    ("P11", "source_on_an_index_is_not_built"),
    ("P12", "wheels_that_reach_out_of_their_place"),
    ("P13", "a_requirements_file_may_not_name_another_index"),
    ("P14", "p14_a_library_that_the_manager_has_just_written"),
    ("P15", "the_environment_injects_nothing"),
    ("P16", "what_reaches_the_virtual_machine_is_judged"),
    ("P17", "an_extension_of_a_pom_does_not_run"),
    ("P18", "a_repository_that_only_a_pom_names_is_refused"),
    ("P19", "git_remote_and_file_dependencies_are_refused"),
    (
        "P24",
        "p25_code_compiled_at_run_time_is_confined_as_its_process",
    ),
    ("P25", "p25_a_worker_thread_is_confined_as_its_process"),
    ("P26", "p26_directories_outside_the_project_are_not_linked"),
    ("P27", "p27_another_package_manager_is_not_started"),
    ("N09", "n09_a_name_query_to_a_resolver_of_the_attacker"),
    ("N10", "n19_the_proxy_connects_to_no_other_host"),
    ("N17", "n17_a_descriptor_that_the_caller_left_open"),
    ("N19", "n19_the_proxy_connects_to_no_metadata_service"),
    (
        "N20",
        "n20_another_name_in_the_handshake_than_in_the_connection",
    ),
    ("N21", "n21_nothing_is_published"),
    ("N22", "n22_a_redirect_to_another_host_is_not_followed"),
    ("N23", "every_race_is_lost"),
    (
        "N26",
        "n01_n26_a_connection_to_another_service_of_this_machine",
    ),
    ("N27", "n27_a_stranger_on_this_machine_cannot_use_the_proxy"),
    ("F06", "every_race_is_lost"),
    ("F07", "every_race_is_lost"),
    ("F16", "n17_a_descriptor_that_the_caller_left_open"),
    ("F18", "f18_an_archive_that_changes_while_it_is_read"),
    ("F19", "sealed_memory_cannot_be_changed"),
    ("I02", "i01_i02_the_socket_of_another_service"),
    (
        "K12",
        "every_number_and_boundary_argument_gets_the_verdict_of_the_table",
    ),
    ("T01", "t01_a_daemon_does_not_outlive_the_run"),
    ("T03", "t03_nothing_survives_a_kill_of_v4run"),
    ("T05", "every_race_is_lost"),
    ("T09", "an_altered_archive_does_not_enter_the_store"),
    ("T10", "code_that_runs_at_every_start_is_told"),
    ("T11", "runs_share_a_store_without_harm"),
    ("T12", "hostile_texts_of_packages_do_not_reach_the_terminal"),
    ("T07", "t07_signals_all_the_time"),
    ("T08", "t08_a_manager_that_dies_while_it_is_answered"),
    ("R03", "r03_a_manager_without_descriptors"),
    ("R04", "r04_a_flood_of_calls"),
    ("R07", "r07_a_pipe_that_nobody_writes"),
    ("R08", "r08_connections_that_never_finish_their_question"),
    ("R05", "bad_addresses_and_endless_paths_are_errors"),
];

/// What no test shows, and why.
const OPEN: &[(&str, &str)] = &[
    (
        "P20",
        "bounds of archives are tested where they are read, not here",
    ),
    (
        "P22",
        "residual: code that already runs may make memory of its own executable",
    ),
    ("P23", "residual: told with the races"),
    ("F17", "names are tested where they are read, not here"),
    ("F20", "the disk of a run is not bounded"),
    ("F21", "needs a descriptor that the run never gets: F02"),
    ("I04", "every manager's run needs it"),
    ("I16", "needs a file that the run never gets: F02"),
    ("K17", "has no effect to look for"),
    ("T02", "no process is made: X13"),
    ("T04", "a supervisor that is stopped stops the run with it"),
    ("T06", "no id of a thread comes round within a test"),
    ("T13", "detection only"),
    ("T14", "the key is in memory of the proxy only: I10"),
    ("R01", "no process is made: X13"),
    ("R02", "memory of a run is not bounded"),
    (
        "R06",
        "no memory of a run is slow to read: faults of its own are refused (K02), and a project on a file \
         system of another process is slow for bare npm too",
    ),
    ("R09", "the record's bounds have tests of their own"),
    ("R10", "a run has no deadline"),
];

/// All sources below a directory as one text.
fn text(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_id_of_the_list_has_its_place() {
    let cases = listing().cases;
    let tried = cases
        .iter()
        .map(|case| case.id.split('+').next().unwrap().to_owned());
    let tried: BTreeSet<String> = tried.collect();
    let mut sources = String::new();
    for folder in ["src", "tests/it"] {
        text(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut sources,
        );
    }
    let mut wrong = Vec::new();
    for (letter, count) in LIST {
        for number in 1..=count {
            let id = format!("{letter}{number:02}");
            let tested = TESTED.iter().find(|(tested, _)| *tested == id);
            if tested.is_some_and(|(_, name)| !sources.contains(&format!("fn {name}()"))) {
                wrong.push(format!("{id}: its test is gone"));
            }
            let open = OPEN.iter().any(|(open, _)| *open == id);
            let places = [tried.contains(&id), tested.is_some(), open];
            if places.iter().filter(|place| **place).count() != 1 {
                wrong.push(format!("{id}: tried, tested, open: {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What was added to the list.
    let added = cases.iter().filter(|case| case.id.contains('+')).count();
    assert!(added >= 30, "{added}");
}
