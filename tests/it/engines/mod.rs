//! A child image that is built from v4run's layer, by real engines: `scripts/engines.sh` has them
//! started, makes the images and runs this with `--ignored`.
//!
//! Every engine and user: the unchanged steps are covered, the hostile ones refused, the records are
//! there; and in each engine the hostile steps leave their mark where the shims are not first. Then
//! what only a container has: a root that cannot be written, process number 1 and its stop signal, a
//! listener that is there already, a kernel that is none. Of a row everything is tried, however much
//! fails; the rows are written to `matrix.txt` in the folder of the engines. One registry serves them all.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::OnceLock;

mod apart;
mod child;
mod engine;

use child::{CONTROL, Child, NPM, PIP};
use engine::Engine;

/// root, a user of the image, and one whom no file names.
const USERS: [u32; 3] = [0, 1000, 4242];

/// A row of the table: what was tried, and each cell with why it failed.
struct Row {
    title: String,
    cells: Vec<(&'static str, Result<(), String>)>,
}

impl Row {
    fn new(title: String) -> Self {
        Self {
            title,
            cells: Vec::new(),
        }
    }

    fn cell(&mut self, name: &'static str, result: Result<(), String>) {
        self.cells.push((name, result));
    }
}

/// Names of the images of an engine's storage.
fn image(engine: Engine, name: &str) -> String {
    match engine.docker() {
        true => name.to_owned(),
        false => format!("localhost/{name}"),
    }
}

fn prelude(engine: Engine, user: u32) -> String {
    image(engine, &format!("v4run-child-{user}"))
}

/// The steps as builds of an image.
fn built(child: &Child, engine: Engine, user: u32) -> Row {
    let mut row = Row::new(format!("{}, uid {user}", engine.title()));
    let context = child.context();
    let name = |word: &str| image(engine, &format!("v4run-{word}-{user}"));
    let build = |text: &str, tag: &str| engine.build(text, &context, tag, &[]);
    let good = build(&Child::steps(&prelude(engine, user)), &name("good")).done();
    row.cell("steps", good.map(|_| ()));
    let npm = build(&Child::hostile(&name("good"), NPM), &name("bad"));
    row.cell("hostile npm", npm.refused(126, "integrity-missing"));
    let pip = build(&Child::hostile(&name("good"), PIP), &name("bad"));
    row.cell("hostile pip", pip.refused(126, "dependency-refused"));
    let minded = build(&Child::minded(&name("good")), &name("minded")).done();
    let records = child.folder(&format!("records-{}", row.title.replace([' ', ','], "-")));
    let records = records.join("out");
    let taken = minded.and_then(|_| engine.take(&name("minded"), "/out", &records));
    row.cell("records", taken.and_then(|()| child::recorded(&records)));
    let control = build(&Child::control(&prelude(engine, user)), &name("control"));
    row.cell("control", control.done().map(|_| ()));
    row
}

/// The steps as commands in a container.
fn started(child: &Child, engine: Engine, user: u32) -> Row {
    let mut row = Row::new(format!("{}, uid {user}", engine.title()));
    let records = child.folder(&format!("records-{}", row.title.replace([' ', ','], "-")));
    let volume = format!("{}:/out", records.display());
    let run = |place: &str, line: &str| {
        let more = ["--rm", "--volume", &volume, "--workdir", place];
        engine.run(&prelude(engine, user), &more, &["sh", "-c", line])
    };
    let line = format!("{NPM} && {PIP} && test -e built && test ! -e /tmp/mark");
    row.cell("steps", run("/work/app", &line).done().map(|_| ()));
    row.cell(
        "hostile npm",
        run("/work/evil", NPM).refused(126, "integrity-missing"),
    );
    row.cell(
        "hostile pip",
        run("/work/evil", PIP).refused(126, "dependency-refused"),
    );
    row.cell("records", child::recorded(&records));
    let bare = format!("export PATH=${{PATH#*:}} {CONTROL}; ");
    let control =
        |line: &str| run("/work/evil", &format!("{bare}{line}; test -e /tmp/mark")).done();
    row.cell(
        "control",
        control(NPM).and_then(|_| control(PIP)).map(|_| ()),
    );
    row
}

/// What all of them are built from.
fn child() -> &'static Child {
    static CHILD: OnceLock<Child> = OnceLock::new();
    CHILD.get_or_init(Child::new)
}

/// Makes the images that every row begins with, once in each storage.
fn preludes(engine: Engine) {
    static MADE: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[usize::from(engine.docker())].get_or_init(|| {
        let mut row = Row::new(format!(
            "{}, the layer, `shims check`",
            engine.builder().title()
        ));
        for (name, user) in [("uid 0", 0), ("uid 1000", 1000), ("uid 4242", 4242)] {
            let (base, layer) = (image(engine, "v4run-engines-base"), image(engine, "v4run"));
            let text = child().prelude(&base, &layer, user);
            let made = engine.build(&text, &child().context(), &prelude(engine, user), &[]);
            row.cell(name, made.done().map(|_| ()));
        }
        told(&[row]);
    });
}

/// Adds rows to the table and fails where a cell of them did.
fn told(rows: &[Row]) {
    let (mut table, mut wrong) = (String::new(), String::new());
    for row in rows {
        write!(table, "{:46}", row.title).unwrap();
        for (name, result) in &row.cells {
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            write!(table, "  {name} {word}").unwrap();
            if let Err(why) = result {
                write!(wrong, "\n== {}: {name}: {why}\n", row.title).unwrap();
            }
        }
        table.push('\n');
    }
    let file = File::options()
        .append(true)
        .create(true)
        .open(engine::place("matrix.txt"));
    file.unwrap().write_all(table.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{wrong}");
}

/// The steps by an engine, for each user.
fn steps(engine: Engine) {
    preludes(engine);
    let row = |user| match engine.builds() {
        true => built(child(), engine, user),
        false => started(child(), engine, user),
    };
    told(&USERS.map(row));
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn docker_build_by_buildkit() {
    steps(Engine::BuildKit);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn docker_build_by_the_builder_of_old() {
    steps(Engine::Legacy);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn docker_run() {
    steps(Engine::DockerRun);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn podman_run() {
    steps(Engine::PodmanRun);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn buildah_by_runc() {
    steps(Engine::Buildah("oci"));
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn buildah_by_chroot() {
    steps(Engine::Buildah("chroot"));
}
