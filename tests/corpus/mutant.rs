//! v4run's launcher, with layers taken out by name: a case that stays closed then proves nothing.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use v4run::profile::kernel;
use v4run::profile::kernel::{Arm, Call};
use v4run::sandbox::launch::{self, Layers};
use v4run::sandbox::seccomp;
use v4run::sys::fd;

/// `RETURN` with the action that kills.
const KILL: (u16, u32) = (0x06, 0x8000_0000);
/// The action that allows.
const ALLOW: u32 = 0x7fff_0000;

/// Becomes what the plan on standard input says, without the layers that are named, separated by
/// commas.
pub(crate) fn launch(layers: &str, parent: &str) {
    let taken: Vec<&str> = layers
        .split(',')
        .filter(|layer| !layer.is_empty())
        .collect();
    let socket = socket().unwrap();
    let layers = Layers {
        filters: Box::new({
            let taken: Vec<String> = taken.iter().map(|layer| (*layer).to_owned()).collect();
            move |me| {
                let table = table(&taken);
                let mut filters = seccomp::compile_table(&table, me)?;
                if taken.iter().any(|layer| layer == "architecture") {
                    for program in [
                        &mut filters.known,
                        &mut filters.quiet,
                        &mut filters.notified,
                    ] {
                        for instruction in program {
                            if (instruction.code, instruction.k) == KILL {
                                instruction.k = ALLOW;
                            }
                        }
                    }
                }
                Ok(filters)
            }
        }),
        files: if taken.contains(&"landlock") {
            Box::new(|_, _| Ok(()))
        } else {
            Box::new(v4run::sandbox::restrict)
        },
    };
    let failure = launch::start(socket, parent.parse().unwrap(), &layers);
    panic!("{failure}");
}

/// Standard input, moved away and replaced by nothing.
fn socket() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    fd::set_inheritable(socket.as_fd(), true)?;
    let nothing = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    Ok(socket)
}

/// The table without what the layers name, and with numbers that they add.
fn table(layers: &[String]) -> Vec<Call> {
    let mut table: Vec<Call> = kernel::all().copied().collect();
    // Of several arms of one call the later ones first, so that the others keep their places.
    let mut layers: Vec<&String> = layers.iter().collect();
    layers.sort();
    for layer in layers.into_iter().rev() {
        let parts: Vec<&str> = layer.split(':').collect();
        match parts.as_slice() {
            ["call", name] => found(&mut table, name).arms = &[],
            ["filter", name, index] => {
                let call = found(&mut table, name);
                let mut arms: Vec<Arm> = call.arms.to_vec();
                arms.remove(index.parse().unwrap());
                call.arms = Vec::leak(arms);
            }
            ["unknown", number] => table.push(Call {
                number: number.parse().unwrap(),
                name: "unknown",
                arms: &[],
            }),
            ["architecture"] | ["landlock"] => {}
            _ => panic!("no such layer: {layer}"),
        }
    }
    table
}

fn found<'a>(table: &'a mut [Call], name: &str) -> &'a mut Call {
    let mut calls = table.iter_mut();
    calls.find(|call| call.name == name).unwrap()
}
