//! The system-call filters, compiled from `profile::kernel`.
//!
//! Three programs, because one of seccompiler's knows one action: known calls and nothing else
//! (`ENOSYS`), quiet refusals (`EPERM`), and the calls that the supervisor answers. The kernel takes
//! the strictest answer. seccompiler's release cannot say "notify": the third program is compiled
//! with a marked trace action, and that return value is rewritten. [`evaluate`] runs the emitted
//! instructions, so that tests prove the programs and not the intention.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::Failure;
use crate::profile::kernel;
use crate::profile::kernel::{Call, Test, Verdict};
use crate::sys::notify::Instruction;

/// Data of the trace action that stands for "notify" until it is rewritten.
const MARK: u32 = 0x7634;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// The compiled filters, in the order of installation; the last one gets the listener.
#[derive(Debug, Clone)]
pub struct Filters {
    /// Known calls pass, unknown numbers get `ENOSYS`.
    pub known: Vec<Instruction>,
    /// Calls refused without a notification.
    pub quiet: Vec<Instruction>,
    /// Calls that the supervisor answers.
    pub notified: Vec<Instruction>,
}

/// Compiles the table for the process `me`.
pub fn compile(me: u32) -> Result<Filters, Failure> {
    compile_table(kernel::all(), me)
}

/// Compiles the table of builds for the process `me`.
pub fn compile_build(me: u32) -> Result<Filters, Failure> {
    compile_table(kernel::Rules::Build.all(), me)
}

/// Compiles these calls; anything else is unknown. Only tests have a table of their own: they take
/// rules out and show that each is needed.
pub fn compile_table<'a>(
    table: impl IntoIterator<Item = &'a Call>,
    me: u32,
) -> Result<Filters, Failure> {
    let mut known = BTreeMap::new();
    let mut quiet = BTreeMap::new();
    let mut notified: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in table {
        match call.arms.first().map(|arm| arm.verdict) {
            // Left out of the known calls, it is an unknown number.
            Some(Verdict::Deny(libc::ENOSYS)) => continue,
            Some(Verdict::Deny(_)) => {
                quiet.insert(call.number, Vec::new());
            }
            Some(Verdict::Judge(_) | Verdict::Refuse(..)) => {
                notified.insert(call.number, rules(call, me)?);
            }
            None => {}
        }
        known.insert(call.number, Vec::new());
    }
    let mut notified = program(notified, SeccompAction::Allow, SeccompAction::Trace(MARK))?;
    for instruction in &mut notified {
        if instruction.code == RETURN && instruction.k == RET_TRACE | MARK {
            instruction.k = RET_USER_NOTIF;
        }
    }
    Ok(Filters {
        known: program(known, errno(libc::ENOSYS), SeccompAction::Allow)?,
        quiet: program(quiet, SeccompAction::Allow, errno(libc::EPERM))?,
        notified,
    })
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    mismatch: SeccompAction,
    matched: SeccompAction,
) -> Result<Vec<Instruction>, Failure> {
    let failed = |error: seccompiler::BackendError| Failure::new("compiling the filter", error);
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let filter = SeccompFilter::new(rules, mismatch, matched, architecture).map_err(failed)?;
    let program: BpfProgram = filter.try_into().map_err(failed)?;
    Ok(program
        .into_iter()
        .map(|i| Instruction {
            code: i.code,
            jt: i.jt,
            jf: i.jf,
            k: i.k,
        })
        .collect())
}

/// One rule an arm; an empty list means "always".
pub(super) fn rules(call: &Call, me: u32) -> Result<Vec<SeccompRule>, Failure> {
    let mut rules = Vec::new();
    for arm in call.arms {
        if arm.tests.is_empty() {
            return Ok(Vec::new());
        }
        let mut alternatives = vec![Vec::new()];
        for test in arm.tests {
            let conditions = conditions(*test, me)?;
            alternatives = alternatives
                .into_iter()
                .flat_map(|conjunction: Vec<SeccompCondition>| {
                    conditions.iter().map(move |condition| {
                        let mut longer = conjunction.clone();
                        longer.push(condition.clone());
                        longer
                    })
                })
                .collect();
        }
        for conjunction in alternatives {
            rules.push(SeccompRule::new(conjunction).map_err(|error| {
                Failure::new(&format!("compiling the rule for {}", call.name), error)
            })?);
        }
    }
    Ok(rules)
}

/// The conditions of which one must hold for the test to hold.
fn conditions(test: Test, me: u32) -> Result<Vec<SeccompCondition>, Failure> {
    use SeccompCmpArgLen::{Dword, Qword};
    let new = |index, length, operator, value| {
        SeccompCondition::new(index, length, operator, value)
            .map_err(|error| Failure::new("compiling the filter", error))
    };
    Ok(match test {
        Test::Is(index, value) => vec![new(index, Dword, SeccompCmpOp::Eq, value.into())?],
        Test::Not(index, value) => vec![new(index, Dword, SeccompCmpOp::Ne, value.into())?],
        Test::NotSelf(index) => vec![new(index, Dword, SeccompCmpOp::Ne, me.into())?],
        Test::NotNull(index) => vec![new(index, Qword, SeccompCmpOp::Ne, 0)?],
        Test::Masked(index, mask, value) => {
            vec![new(
                index,
                Dword,
                SeccompCmpOp::MaskedEq(mask.into()),
                value.into(),
            )?]
        }
        // There is no "masked and different": every other value of the mask, one by one.
        Test::NotMasked(index, mask, value) => (0..=mask)
            .filter(|other| *other != value)
            .map(|other| {
                new(
                    index,
                    Dword,
                    SeccompCmpOp::MaskedEq(mask.into()),
                    other.into(),
                )
            })
            .collect::<Result<_, _>>()?,
    })
}

/// What a program answers to a call, as the kernel would compute it; `None` if it is malformed.
///
/// `architecture` is the audit architecture value of the call.
pub fn evaluate(
    program: &[Instruction],
    number: u32,
    architecture: u32,
    arguments: &[u64; 6],
) -> Option<u32> {
    let word = |offset: u32| -> Option<u32> {
        match offset {
            0 => Some(number),
            4 => Some(architecture),
            8 | 12 => Some(0),
            16..64 => {
                let argument = arguments.get(((offset - 16) / 8) as usize)?;
                let shift = if offset.is_multiple_of(8) { 0 } else { 32 };
                u32::try_from(argument >> shift & u64::from(u32::MAX)).ok()
            }
            _ => None,
        }
    };
    let mut accumulator = 0_u32;
    let mut at = 0_usize;
    loop {
        let instruction = program.get(at)?;
        let mut skip = |holds: bool| {
            at += usize::from(if holds {
                instruction.jt
            } else {
                instruction.jf
            });
        };
        match instruction.code {
            0x20 => accumulator = word(instruction.k)?, // BPF_LD | BPF_W | BPF_ABS
            0x54 => accumulator &= instruction.k,       // BPF_ALU | BPF_AND | BPF_K
            0x05 => at += instruction.k as usize,       // BPF_JMP | BPF_JA
            0x15 => skip(accumulator == instruction.k), // BPF_JMP | BPF_JEQ | BPF_K
            0x25 => skip(accumulator > instruction.k),  // BPF_JMP | BPF_JGT | BPF_K
            0x35 => skip(accumulator >= instruction.k), // BPF_JMP | BPF_JGE | BPF_K
            0x45 => skip(accumulator & instruction.k != 0), // BPF_JMP | BPF_JSET | BPF_K
            RETURN => return Some(instruction.k),
            _ => return None,
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
