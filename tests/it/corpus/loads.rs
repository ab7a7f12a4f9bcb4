//! Loads in a manager's place: the supervisor is asked too fast, too much, or by one that dies.
//!
//! Nothing may be let through, lost or left hanging, and the record stays small and whole.

use std::fs;

use serde_json::{Value, json};

use super::bench::Surroundings;
use super::managers::Place as _;
use crate::attack::Stage;
use crate::registry::package::Package;
use crate::run::Run;

/// Runs a load as npm; what it saw, and the run.
fn load(name: &str, prepare: impl Fn(&Stage)) -> (Value, Run) {
    let stage = Stage::new();
    let inside = stage.inside();
    fs::create_dir_all(&inside).unwrap();
    let surroundings = Surroundings::new(stage.outside());
    surroundings.renew(&inside);
    // An empty directory in the install tree is a finding of its own.
    fs::remove_dir(inside.join("mount")).unwrap();
    prepare(&stage);
    let mut scene = surroundings.scene(&inside, &[]);
    scene["load"] = name.into();
    let run = stage.run(&scene);
    let seen = fs::read(inside.join("load.json"));
    let seen = seen.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    (seen, run)
}

#[test]
fn t07_signals_all_the_time() {
    let (seen, run) = load("signals", |_| ());
    run.succeeds();
    assert_eq!(seen["broken"], true, "the control is not interrupted");
    assert!(seen["signals"].as_u64() >= Some(200), "{seen}");
    assert!(seen["opened"].as_u64() > Some(0), "{seen}");
    assert_eq!(seen["failed"], 0, "{seen}");
}

#[test]
fn t08_a_manager_that_dies_while_it_is_answered() {
    for _ in 0..3 {
        let (_, run) = load("death", |_| ());
        // The record is looked at as after every run: whole, sealed, of the same exit status.
        run.exits(137);
    }
}

#[test]
fn r03_a_manager_without_descriptors() {
    let (seen, run) = load("descriptors", |_| ());
    run.succeeds();
    assert_eq!(seen["errno"], libc::EMFILE, "{seen}");
    assert!(seen["held"].as_u64() > Some(40), "{seen}");
    assert_eq!(seen["again"], true, "{seen}");
}

#[test]
fn r04_a_flood_of_calls() {
    let (seen, run) = load("flood", |_| ());
    run.refuses(120, "file-access-refused", "4.18");
    assert_eq!(seen["wrong"], 0, "{seen}");
    let right = seen["right"].as_array().unwrap();
    // Nobody is left waiting for the others.
    assert!(right.iter().all(|count| count.as_u64() > Some(0)), "{seen}");
    let asked: u64 = right.iter().filter_map(Value::as_u64).sum();
    let events = run.record().events("call").len();
    // What repeats is counted, not written.
    assert!(events < 100, "{events} events of {asked}");
    assert!(asked > 100, "{seen}");
}

#[test]
fn r07_a_pipe_that_nobody_writes() {
    let (seen, run) = load("pipe", |stage| {
        let pipe = stage.inside().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    assert_eq!(seen, json!({ "opened": 100, "told": "through" }));
    run.succeeds();
}

/// Connections that say half a word each and stay, as many as the proxy nearly has places for; more would
/// wait until those are given up. A body without end: `faults::upstream`.
#[test]
fn r08_connections_that_never_finish_their_question() {
    let stage = Stage::new();
    stage.registry.publish(&Package::new("thing", "1.0.0"));
    let ours = stage.outcome(stage.hostile(
        r"
        const address = proxy();
        const held = [];
        for (let index = 0; index < 200; index += 1) {
            const socket = await dial({ host: address.hostname, port: Number(address.port) });
            socket.on('error', () => {});
            socket.write('CONNECT localhost:');
            held.push(socket);
        }
        const status = await request({
            host: 'localhost', port: where.registry, name: 'localhost',
            lines: ['GET /thing HTTP/1.1', `Host: localhost:${where.registry}`],
        });
        return { held: held.length, status };
        ",
    ));
    assert_eq!(
        ours.result["value"],
        json!({ "held": 200, "status": 200 }),
        "{}\n{}",
        ours.result,
        ours.run.told()
    );
    ours.run.succeeds();
}
