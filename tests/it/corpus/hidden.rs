//! What a view hides stays hidden: a file of the project whose content the manager must not see is
//! reached by no other door either.

use serde_json::Value;

use crate::attack::Stage;

/// Ways to a file, each with what it read.
const DOORS: &str = r"
    const O_PATH = 0o10000000;
    const MAKE = fs.constants.O_RDONLY | fs.constants.O_CREAT;
    const file = `${where.project}/.npmrc`;
    const read = (open) => { try { return fs.readFileSync(open(), 'latin1'); } catch (error) { return error.code; } };
    const held = () => fs.openSync(file, O_PATH);
    return {
        plain: read(() => file),
        again: read(() => `/dev/fd/${held()}`),
        own: read(() => `/proc/self/fd/${held()}`),
        name: read(() => `${where.project}/node_modules/../.npmrc`),
        linked: read(() => { fs.linkSync(file, `${where.project}/node_modules/l`); return `${where.project}/node_modules/l`; }),
        symlinked: read(() => { fs.symlinkSync(file, `${where.project}/node_modules/s`); return `${where.project}/node_modules/s`; }),
        moved: read(() => { fs.renameSync(file, `${where.project}/node_modules/m`); return `${where.project}/node_modules/m`; }),
        writing: read(() => fs.openSync(file, 'r+')),
        deeper: read(() => `/dev/fd/${fs.openSync(where.project, O_PATH)}/.npmrc`),
        lured: read(() => { const to = `${where.project}/node_modules/a`; fs.symlinkSync(`/dev/fd/${held()}`, to); return to; }),
        led: read(() => { const to = `${where.project}/node_modules/b`; fs.symlinkSync(`/proc/self/fd/${held()}`, to); return to; }),
        made: read(() => {
            fs.symlinkSync(`${where.project}/node_modules`, `${where.project}/node_modules/d`);
            fs.mkdirSync(`${where.project}/node_modules/e`);
            return fs.openSync(`${where.project}/node_modules/e/../d/../.npmrc`, MAKE);
        }),
        anew: read(() => fs.openSync(`/dev/fd/${held()}`, MAKE)),
        below: read(() => fs.openSync(`/dev/fd/${fs.openSync(where.project, O_PATH)}/.npmrc`, MAKE)),
        through: read(() => {
            const to = `${where.project}/node_modules/f`;
            fs.symlinkSync(`/dev/fd/${fs.openSync(where.project, O_PATH)}`, to);
            return fs.openSync(`${to}/.npmrc`, MAKE);
        }),
        copied: read(() => { fs.copyFileSync(file, `${where.project}/node_modules/c`); return `${where.project}/node_modules/c`; }),
    };
";

#[test]
fn a_token_of_the_project_is_behind_no_other_door() {
    let token = "npm_nonce0fASecretToken";
    let mut stage = Stage::new();
    stage.project.secret(token);
    let line = format!("//{}/:_authToken={token}\n", stage.registry.host());
    stage.project.file(".npmrc", &line);
    let bare = stage.outcome(stage.bare(&format!(
        "fs.mkdirSync(`${{where.project}}/node_modules`, {{recursive: true}});{DOORS}"
    )));
    let doors = bare.result["value"].as_object().unwrap();
    let open = |doors: &serde_json::Map<String, Value>| {
        let found = doors
            .iter()
            .filter(|(_, text)| text.as_str().unwrap_or_default().contains(token));
        found.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert!(
        open(doors).len() >= 6,
        "the control does not fire: {doors:?}"
    );
    stage.project.file(".npmrc", &line);
    std::fs::remove_dir_all(stage.project.path("node_modules")).unwrap();
    let ours = stage.outcome(stage.hostile(DOORS));
    let doors = ours.result["value"].as_object().unwrap();
    assert!(open(doors).is_empty(), "{doors:#?}\n{}", ours.run.told());
}
