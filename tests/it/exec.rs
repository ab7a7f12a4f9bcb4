//! No program starts and no process appears, whatever way hostile code in the manager takes.
//!
//! Rows X01, X02, X09 to X15, P25 and T01 of the escape corpus. The canary is a file in the
//! install tree, the one place that a child could still write, so that a silent canary means that
//! nothing ran and not that it could not write. What JavaScript cannot reach by itself (execveat,
//! memfd, the loader as a program) is tried by the built-in canaries of `v4run doctor`.

use std::fs;
use std::path::PathBuf;

use crate::attack::{EXECUTION, FILE, Stage};
use crate::project::program;

#[test]
fn x01_a_program_written_into_the_tree() {
    // A program that the run may read, as one from an archive would be.
    let stage = Stage::new();
    fs::copy("/bin/sh", stage.project.path("payload")).unwrap();
    stage.fires(
        r"
        const file = path.join(where.project, 'node_modules', '.bin', 'fresh');
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, fs.readFileSync(path.join(where.project, 'payload')));
        fs.chmodSync(file, 0o755);
        check(cp.spawnSync(file, ['-c', `echo ran > '${where.fired}'`]));
        ",
        EXECUTION,
    );
}

#[test]
fn x02_the_shell() {
    Stage::new().fires(
        "check(cp.spawnSync('/bin/sh', ['-c', `echo ran > '${where.fired}'`]));",
        EXECUTION,
    );
}

#[test]
fn x02_the_shell_by_way_of_exec() {
    Stage::new().fires("cp.execSync(`echo ran > '${where.fired}'`);", EXECUTION);
}

#[test]
fn x09_a_script_with_a_shebang() {
    Stage::new().fires(
        r"
        const file = path.join(where.project, 'node_modules', 'script');
        fs.writeFileSync(file, `#!/bin/sh\necho ran > '${where.fired}'\n`, { mode: 0o755 });
        check(cp.spawnSync(file));
        ",
        EXECUTION,
    );
}

#[test]
fn x10_a_script_that_the_shell_reads() {
    Stage::new().fires(
        r"
        const file = path.join(where.project, 'node_modules', 'script');
        fs.writeFileSync(file, `echo ran > '${where.fired}'\n`);
        check(cp.spawnSync('/bin/sh', [file]));
        ",
        EXECUTION,
    );
}

#[test]
fn x11_another_interpreter_with_code_as_argument() {
    Stage::new().fires(
        r"
        const code = `require('fs').writeFileSync(${JSON.stringify(where.fired)}, 'ran')`;
        check(cp.spawnSync(process.execPath, ['-e', code]));
        ",
        EXECUTION,
    );
}

#[test]
fn x11_a_forked_module() {
    Stage::new().fires(
        r"
        const file = path.join(where.project, 'node_modules', 'child.js');
        fs.writeFileSync(file, `require('fs').writeFileSync(${JSON.stringify(where.fired)}, 'ran')`);
        await new Promise((done, fail) => cp.fork(file).once('error', fail).once('exit', done));
        ",
        EXECUTION,
    );
}

#[test]
fn x12_an_interpreter_with_code_on_standard_input() {
    Stage::new().fires(
        r"
        const input = `require('fs').writeFileSync(${JSON.stringify(where.fired)}, 'ran')`;
        check(cp.spawnSync(process.execPath, ['-'], { input }));
        ",
        EXECUTION,
    );
}

#[test]
fn x13_an_asynchronous_child() {
    Stage::new().fires(
        r"
        const child = cp.spawn('/bin/sh', ['-c', `echo ran > '${where.fired}'`], { stdio: 'ignore' });
        await new Promise((done, fail) => child.once('error', fail).once('exit', done));
        ",
        EXECUTION,
    );
}

#[test]
fn x14_a_program_with_the_set_user_bit() {
    let su = [program("su"), PathBuf::from("/bin/su")]
        .into_iter()
        .find(|path| path.exists());
    Stage::new()
        .with("su", su.unwrap().to_str().unwrap())
        .fires(
            "fs.writeFileSync(where.fired, check(cp.spawnSync(where.su, ['--version'])));",
            EXECUTION,
        );
}

#[test]
fn x15_the_kernel_s_table_of_interpreters() {
    // Bare this would change the machine: only the refusal is tested, the control is any other
    // file outside (F01).
    let stage = Stage::new();
    let attack = "fs.writeFileSync('/proc/sys/fs/binfmt_misc/register', ':x:E::x::/bin/sh:');";
    stage.outcome(stage.hostile(attack)).is_refused(FILE);
}

#[test]
fn p25_a_worker_thread_is_confined_as_its_process() {
    Stage::new().fires(
        r"
        const { Worker } = require('worker_threads');
        const code = `
            const { error } = require('child_process').spawnSync(
                '/bin/sh', ['-c', 'echo ran > ${where.fired}']);
            require('worker_threads').parentPort.postMessage(error ? error.code : '');
        `;
        const worker = new Worker(code, { eval: true });
        const errno = await new Promise((done, fail) =>
            worker.once('message', done).once('error', fail));
        if (errno) throw Object.assign(new Error('in the worker'), { code: errno });
        ",
        EXECUTION,
    );
}

#[test]
fn p25_code_compiled_at_run_time_is_confined_as_its_process() {
    Stage::new().fires(
        r"
        const run = require('vm').runInThisContext('(cp, line) => cp.execSync(line)');
        run(cp, `echo ran > '${where.fired}'`);
        ",
        EXECUTION,
    );
}

#[test]
fn t01_a_daemon_does_not_outlive_the_run() {
    let attack = r#"
        const line = `(setsid sh -c 'while [ ! -e "${where.outside}/over" ]; do sleep 0.02; done;
            echo late > "${where.fired}"' &)`;
        check(cp.spawnSync('/bin/sh', ['-c', line], { stdio: 'ignore' }));
    "#;
    let stage = Stage::new();
    let fired = stage.project.path("node_modules/fired");
    // The control: the daemon acts after its manager has ended.
    let bare = stage.bare(attack).wait_for(&fired).start();
    wait_until(|| stage.project.path("node_modules/result.json").exists());
    fs::write(stage.project.outside("over"), "").unwrap();
    let bare = bare.wait();
    assert!(stage.fired(), "the control does not fire\n{}", bare.told());
    let ours = stage.outcome(stage.hostile(attack));
    ours.is_refused(EXECUTION);
    assert!(!stage.fired());
}

/// Waits for a condition; fails after ten seconds.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "the condition does not come true"
        );
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}

#[test]
fn every_attempt_is_in_the_record() {
    let stage = Stage::new();
    let attack = "for (const name of ['one', 'two']) { cp.spawnSync(`/bin/${name}`); }";
    let ours = stage.outcome(stage.hostile(attack));
    ours.is_violation(EXECUTION.codes, EXECUTION.control);
    assert_eq!(
        ours.run.record().violations().len(),
        2,
        "{}",
        ours.run.told()
    );
}
