//! A child image that is built from v4run's layer, by real engines: `scripts/engines.sh` has them
//! started, makes the images and runs this with `--ignored`.
//!
//! Every engine and user: the unchanged steps are covered, the hostile ones refused, the records are
//! there; and in each engine the hostile steps leave their mark where the shims are not first. Then
//! what only a container has: a root that cannot be written, process number 1 and its stop signal, a
//! listener that is there already, a kernel that is none. Everything is tried, however much fails; the table is
//! written to `matrix.txt` in the folder of the engines.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

mod apart;
mod child;
mod engine;

use child::{Child, NPM, PIP};
use engine::Engine;

const ENGINES: [Engine; 6] = [
    Engine::BuildKit,
    Engine::Legacy,
    Engine::DockerRun,
    Engine::PodmanRun,
    Engine::Buildah("oci"),
    Engine::Buildah("chroot"),
];

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
    let bare = "export PATH=${PATH#*:}; ";
    let control =
        |line: &str| run("/work/evil", &format!("{bare}{line}; test -e /tmp/mark")).done();
    row.cell(
        "control",
        control(NPM).and_then(|_| control(PIP)).map(|_| ()),
    );
    row
}

/// Makes the images that every row begins with.
fn preludes(child: &Child) -> Row {
    let mut row = Row::new("the layer in an image, `shims check` in it".to_owned());
    for (name, engine) in [
        ("docker", Engine::BuildKit),
        ("buildah", Engine::Buildah("oci")),
    ] {
        let results = USERS.map(|user| {
            let (base, layer) = (image(engine, "v4run-engines-base"), image(engine, "v4run"));
            let text = child.prelude(&base, &layer, user);
            let made = engine.build(&text, &child.context(), &prelude(engine, user), &[]);
            made.done().map(|_| ())
        });
        row.cell(name, results.into_iter().collect());
    }
    row
}

#[test]
#[ignore = "needs engines: scripts/engines.sh"]
fn matrix() {
    let child = Child::new();
    let mut rows = vec![preludes(&child)];
    for engine in ENGINES {
        for user in USERS {
            rows.push(match engine.builds() {
                true => built(&child, engine, user),
                false => started(&child, engine, user),
            });
        }
    }
    rows.extend(apart::rows(&child));
    let mut table = String::new();
    let mut wrong = String::new();
    for row in &rows {
        write!(table, "{:44}", row.title).unwrap();
        for (name, result) in &row.cells {
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            write!(table, "  {name} {word}").unwrap();
            if let Err(why) = result {
                write!(wrong, "\n== {}: {name}: {why}\n", row.title).unwrap();
            }
        }
        table.push('\n');
    }
    let place = PathBuf::from(std::env::var_os("V4RUN_ENGINES").unwrap()).join("matrix.txt");
    fs::write(place, &table).unwrap();
    assert!(wrong.is_empty(), "{wrong}");
}
