//! No native code is loaded from anything but the runtime. Rows P08 and P14.
//!
//! The witness is the process's own list of mappings: an executable mapping of the file means that
//! its code could run, whatever Node makes of the file afterwards.

use std::fs;
use std::path::PathBuf;

use crate::attack::{Refusal, Stage};

const MAP: Refusal<'static> = Refusal {
    errno: &["ERR_DLOPEN_FAILED"],
    codes: &["code-map-refused"],
    control: "4.18",
};

/// Loads a file and reports whether it was mapped executable.
const LOAD: &str = r"
    const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\n')
        .some((line) => line.includes(where.library) && line.split(' ')[1].includes('x'));
    try {
        // RTLD_NOW and RTLD_NODELETE: Node unloads what is no addon, and the map must stay.
        process.dlopen({ exports: {} }, where.library, 2 | 0x1000);
    } catch (error) {
        if (mapped()) fs.writeFileSync(where.fired, 'mapped');
        else throw error;
    }
";

fn any_library() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps
        .lines()
        .find(|line| line.contains("libm.so") || line.contains("libc.so"));
    PathBuf::from(line.unwrap().split_whitespace().last().unwrap())
}

#[test]
fn p08_a_native_addon_of_a_package() {
    let stage = Stage::new();
    let library = stage.project.path("node_modules/native/addon.node");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(any_library(), &library).unwrap();
    stage
        .with("library", library.to_str().unwrap())
        .fires(LOAD, MAP);
}

#[test]
fn p14_a_library_that_the_manager_has_just_written() {
    let stage = Stage::new();
    let library = stage.project.path("node_modules/late.so");
    let attack = format!(
        "fs.mkdirSync(path.dirname(where.library), {{ recursive: true }});
         fs.copyFileSync({:?}, where.library);\n{LOAD}",
        any_library().to_str().unwrap()
    );
    stage
        .with("library", library.to_str().unwrap())
        .fires(&attack, MAP);
}

#[test]
fn p08_a_link_into_the_runtime_does_not_help() {
    let stage = Stage::new();
    let library = stage.project.outside("evil/addon.so");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(any_library(), &library).unwrap();
    let link = stage.project.path("node_modules/addon.node");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&library, &link).unwrap();
    let attack = LOAD.replace(
        "dlopen({ exports: {} }, where.library,",
        "dlopen({ exports: {} }, where.link,",
    );
    let refusal = Refusal {
        codes: &["code-map-refused", "file-access-refused"],
        ..MAP
    };
    stage
        .with("library", library.to_str().unwrap())
        .with("link", link.to_str().unwrap())
        .fires(&attack, refusal);
}

#[test]
fn the_run_s_own_libraries_still_load() {
    let stage = Stage::new();
    let ours =
        stage.outcome(stage.hostile(
            "return require('crypto').createHash('sha256').update('').digest('hex').length;",
        ));
    assert_eq!(ours.result["value"], 64, "{}", ours.run.told());
    ours.run.succeeds();
}
