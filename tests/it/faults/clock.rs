//! A clock that jumps while a run is under way: years ahead, years back, and at every reading.
//!
//! The session reads it; the proxy, which judges certificates, has an environment of its own. What must
//! hold is what holds with a clock that is right: the install works, the record is sealed and intact.

use std::path::Path;

use serde_json::json;

use super::{is_sealed, score, store_is_whole};
use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;

const YEAR: i64 = 365 * 24 * 3600;

#[test]
fn a_clock_that_jumps() {
    let clock = Path::new(env!("CARGO_BIN_EXE_v4run")).with_file_name("examples/libclock.so");
    assert!(clock.exists(), "`cargo build --examples` makes {clock:?}");
    let registry = Registry::start();
    registry.publish(&Package::new("one", "1.0.0"));
    let project = Project::locked(&registry, json!({ "one": "1.0.0" }));
    let mut years = Vec::new();
    let jumps = [
        (0, 0, ""),
        (2, 10, ""),
        (2, -20, ""),
        (0, 30, "*"),
        (1, -50, "*"),
    ];
    for (after, by, how) in jumps {
        let _ = std::fs::remove_dir_all(project.path("node_modules"));
        let run = project
            .v4run(&["npm", "ci"])
            .env("LD_PRELOAD", &clock)
            .env("TEST_CLOCK", format!("{after}:{}{how}", by * YEAR))
            .run();
        run.succeeds();
        assert!(project.path("node_modules/one").exists());
        assert!(is_sealed(&run.record().folder), "{}", run.told());
        let summary = run.record().summary.clone();
        years.push((summary["started"].clone(), summary["ended"].clone()));
    }
    store_is_whole(&project.home().join(".cache"));
    // The fault is real: the record states what the clock said.
    let year = |time: &serde_json::Value| time.as_str().unwrap()[..4].parse::<i64>().unwrap();
    let right = year(&years[0].0);
    assert_eq!(year(&years[0].1), right);
    for ((_, ended), (_, by, how)) in years.iter().zip(jumps).skip(1) {
        // What jumps at every reading may be right when it is written down.
        let told = year(ended);
        let shifted = (told - right - by).abs() <= 1;
        assert!(shifted || how == "*", "{told} for {by}");
    }
    score(jumps.len() - 1);
}
