//! The emitted programs, evaluated over every number and the boundary values of every argument.

use super::*;

const ME: u32 = 4242;
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
const I386: u32 = 0x4000_0003;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_ERRNO: u32 = 0x0005_0000;

/// The kernel's choice among the answers of all filters: the lowest action value, signed.
fn answer(filters: &Filters, number: u32, architecture: u32, arguments: &[u64; 6]) -> u32 {
    [&filters.known, &filters.quiet, &filters.notified]
        .into_iter()
        .map(|program| evaluate(program, number, architecture, arguments).unwrap())
        .min_by_key(|value| (value & 0xffff_0000).cast_signed())
        .unwrap()
}

/// Both tables with their programs.
fn both() -> [(kernel::Rules, Filters); 2] {
    [
        (kernel::Rules::Install, compile(ME).unwrap()),
        (kernel::Rules::Build, compile_build(ME).unwrap()),
    ]
}

fn expected(rules: kernel::Rules, number: u32, arguments: &[u64; 6]) -> u32 {
    let Some(call) = rules.by_number(number.into()) else {
        return RET_ERRNO | libc::ENOSYS.unsigned_abs();
    };
    match call.verdict(arguments, ME) {
        None => RET_ALLOW,
        Some(Verdict::Deny(errno)) => RET_ERRNO | errno.unsigned_abs(),
        Some(Verdict::Judge(_) | Verdict::Refuse(..)) => RET_USER_NOTIF,
    }
}

fn boundary_values() -> Vec<u64> {
    let mut values = vec![0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 41, 262, u64::MAX];
    values.extend([
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        u64::from(ME),
        0x5412,
        0x5413,
        0x541c,
    ]);
    values.extend((0..32).map(|bit| 1_u64 << bit));
    let high: Vec<u64> = values.iter().map(|value| value | 7 << 32).collect();
    values.extend(high);
    values
}

#[test]
fn programs_fit_the_kernel_limit() {
    for (_, filters) in both() {
        for program in [&filters.known, &filters.quiet, &filters.notified] {
            assert!(program.len() <= 4096, "{}", program.len());
        }
    }
}

#[test]
fn every_number_and_boundary_argument_gets_the_verdict_of_the_table() {
    let values = boundary_values();
    for (rules, filters) in both() {
        let mut checked = 0_u64;
        for number in (0..1024).chain([0x4000_0000, 0x4000_0000 | 41, u32::MAX]) {
            // Where no argument is judged, a few values show that none is.
            let judged = rules
                .by_number(number.into())
                .is_some_and(|call| call.arms.iter().any(|arm| !arm.tests.is_empty()));
            let values = if judged { &values[..] } else { &values[..3] };
            for index in 0..6 {
                for &value in values {
                    for base in [0, 1, 2] {
                        let mut arguments = [base; 6];
                        arguments[index] = value;
                        assert_eq!(
                            answer(&filters, number, NATIVE, &arguments),
                            expected(rules, number, &arguments),
                            "{rules:?}: call {number}, arguments {arguments:x?}"
                        );
                        checked += 1;
                    }
                }
            }
        }
        assert!(checked > 50_000, "{checked}");
    }
}

/// Socket arguments are judged in combination.
#[test]
fn every_socket_triple_gets_the_verdict_of_the_table() {
    let socket = u32::try_from(libc::SYS_socket).unwrap();
    // Two families, one type (0x1 and 0x11 share the type bits), two protocols, three flag forms; in a
    // build Unix streams of any protocol, which nothing connects.
    for ((rules, filters), expected_open) in both().iter().zip([2 * 2 * 2 * 3, 2 * 10 * 3]) {
        let mut open = 0;
        for domain in 0..=46_u64 {
            for kind in 0..=0x1f_u64 {
                for protocol in [0, 1, 6, 17, 58, 132, 136, 255, 256, 262] {
                    let flags = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).unsigned_abs();
                    for kind in [kind, kind | u64::from(flags), kind | 1 << 40] {
                        let arguments = [domain, kind, protocol, 0, 0, 0];
                        let answer = answer(filters, socket, NATIVE, &arguments);
                        assert_eq!(
                            answer,
                            expected(*rules, socket, &arguments),
                            "{arguments:x?}"
                        );
                        open += u32::from(answer == RET_ALLOW);
                    }
                }
            }
        }
        assert_eq!(open, expected_open, "{rules:?}");
    }
}

#[test]
fn other_architectures_are_killed() {
    let filters = compile(ME).unwrap();
    for number in 0..512 {
        assert_eq!(answer(&filters, number, I386, &[0; 6]), RET_KILL_PROCESS);
    }
}

#[test]
fn x32_numbers_are_unknown() {
    let filters = compile(ME).unwrap();
    for number in 0..600 {
        assert_eq!(
            answer(&filters, 0x4000_0000 | number, NATIVE, &[0; 6]),
            RET_ERRNO | libc::ENOSYS.unsigned_abs()
        );
    }
}

#[test]
fn the_evaluator_refuses_malformed_programs() {
    assert_eq!(evaluate(&[], 0, NATIVE, &[0; 6]), None);
    let unknown = Instruction {
        code: 0xff,
        jt: 0,
        jf: 0,
        k: 0,
    };
    assert_eq!(evaluate(&[unknown], 0, NATIVE, &[0; 6]), None);
}
