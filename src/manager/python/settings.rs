//! The settings that hold: configuration, variables and command line put together as pip does.
//!
//! Configuration sets defaults, section by section (`global`, the subcommand's own, variables);
//! what the command line says comes on top of them. Keys that the subcommand does not know are
//! passed over, as pip passes them over. Each setting then meets the rule of its origin in the
//! profile: handed on, used by v4run itself, dropped, or refused.

use super::argv::{self, Line};
use super::asked::{Origin, Stated, VARIABLES};
use super::options::{Definition, Grammar, Takes};
use crate::model::{Code, Finding};
use crate::profile::{Action, Profile};

/// Options that set one value to yes and no.
const PAIRS: &[(&str, &str)] = &[
    ("compile", "no-compile"),
    ("user", "no-user"),
    ("include-editable", "exclude-editable"),
];

/// One setting that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Setting {
    /// Which option.
    pub(in crate::manager) option: &'static Definition,
    /// Its value, when it takes one.
    pub(in crate::manager) value: Option<String>,
    /// Who says so.
    pub(in crate::manager) origin: Origin,
    /// Where, for messages.
    pub(in crate::manager) place: String,
}

impl Setting {
    /// The value as text.
    pub(in crate::manager) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or("true")
    }
}

/// Puts everything together for one subcommand, in the order in which pip applies it.
pub(in crate::manager) fn effective(
    stated: &[Stated],
    line: &Line,
    command: &'static str,
) -> Result<Vec<Setting>, Finding> {
    let grammar = Grammar::of(command);
    let mut settings: Vec<Setting> = Vec::new();
    for section in ["global", command, VARIABLES] {
        for one in merged(stated, section) {
            let option = grammar.long(&one.key);
            let Some(option) = option.filter(|o| !matches!(o.rule, "help" | "version")) else {
                continue;
            };
            configured(&mut settings, grammar, option, one)?;
        }
    }
    settings.extend(line.given.iter().map(|given| Setting {
        option: given.option,
        value: given.value.clone(),
        origin: Origin::Cli,
        place: "command line".to_owned(),
    }));
    Ok(settings)
}

/// The entries of a section, of equal keys the last; an empty value cancels.
fn merged<'a>(stated: &'a [Stated], section: &str) -> Vec<&'a Stated> {
    let mut kept: Vec<&Stated> = Vec::new();
    for one in stated.iter().filter(|one| one.section == section) {
        match kept.iter_mut().find(|known| known.key == one.key) {
            Some(known) => *known = one,
            None => kept.push(one),
        }
    }
    kept.retain(|one| !one.value.is_empty());
    kept
}

/// Applies a default of configuration: it replaces what weaker configuration said.
fn configured(
    settings: &mut Vec<Setting>,
    grammar: Grammar,
    option: &'static Definition,
    one: &Stated,
) -> Result<(), Finding> {
    let partner = partner(grammar, option);
    if option.takes != Takes::Gather {
        settings.retain(|known| known.option != option && Some(known.option) != partner);
    }
    let mut push = |option, value: Option<&str>| {
        settings.push(Setting {
            option,
            value: value.map(str::to_owned),
            origin: one.origin,
            place: one.place.clone(),
        });
    };
    let wrong = |what: &str| {
        let message = format!("`{}` is {what}", one.key);
        Finding::new(Code::Usage, &one.place, message)
    };
    match option.takes {
        // For pip these two take any text and mean the same with each.
        Takes::On if matches!(option.rule, "no-cache-dir" | "no-use-pep517") => push(option, None),
        Takes::On | Takes::Off => {
            let yes = truth(&one.value).ok_or_else(|| wrong("neither yes nor no"))?;
            // pip puts the value itself into what the option sets, whatever the option's name.
            let on = option.takes == Takes::On;
            match (yes == on, partner) {
                (true, _) => push(option, None),
                (false, Some(partner)) => push(partner, None),
                (false, None) => {}
            }
        }
        Takes::Count => {
            let number = truth(&one.value).map(usize::from);
            let number = number.or_else(|| one.value.trim().parse().ok());
            let number = number.filter(|number| *number < 100);
            for _ in 0..number.ok_or_else(|| wrong("no number"))? {
                push(option, None);
            }
        }
        Takes::Many => one
            .value
            .split_whitespace()
            .for_each(|value| push(option, Some(value))),
        Takes::One | Takes::Gather => push(option, Some(&one.value)),
    }
    Ok(())
}

fn partner(grammar: Grammar, option: &Definition) -> Option<&'static Definition> {
    let (yes, no) = PAIRS
        .iter()
        .find(|(yes, no)| [*yes, *no].contains(&option.name()))?;
    grammar.long(if option.name() == *yes { no } else { yes })
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Settings after they met their rules.
#[derive(Debug, Default)]
pub(in crate::manager) struct Judged {
    /// For pip, rendered.
    pub(in crate::manager) passed: Vec<String>,
    /// For v4run itself.
    pub(in crate::manager) taken: Vec<Setting>,
    /// Refusals and notes.
    pub(in crate::manager) findings: Vec<Finding>,
}

impl Judged {
    /// The last word on a setting that v4run uses.
    pub(in crate::manager) fn last(&self, rule: &str) -> Option<&Setting> {
        self.taken
            .iter()
            .rev()
            .find(|setting| setting.option.rule == rule)
    }

    /// Every word on it, in order.
    pub(in crate::manager) fn all<'a>(
        &'a self,
        rule: &'a str,
    ) -> impl Iterator<Item = &'a Setting> {
        self.taken
            .iter()
            .filter(move |setting| setting.option.rule == rule)
    }
}

/// Judges every setting.
pub(in crate::manager) fn judge(settings: &[Setting], profile: &Profile) -> Judged {
    let mut judged = Judged::default();
    for setting in settings {
        match verdict(setting, profile) {
            Ok(Action::Pass) => {
                judged
                    .passed
                    .push(argv::render(setting.option, setting.value.as_deref()));
            }
            Ok(Action::Take) => judged.taken.push(setting.clone()),
            Ok(Action::Drop | Action::Refuse) => {
                judged.findings.extend(note(setting, profile));
            }
            Err(finding) => judged.findings.push(finding),
        }
    }
    judged
}

/// What happens to a setting; a refusal is the error.
pub(in crate::manager) fn verdict(setting: &Setting, profile: &Profile) -> Result<Action, Finding> {
    let name = setting.option.name();
    let Some(rule) = profile.setting(setting.option.rule) else {
        let message = format!("`--{name}` is refused: v4run's profile does not say what it does");
        return Err(Finding::new(Code::ConfigRefused, &setting.place, message));
    };
    let action = match setting.origin {
        Origin::Cli => rule.cli,
        Origin::Environment | Origin::User => rule.user,
        Origin::Project => rule.project,
    };
    if action != Action::Refuse || rule.harmless.iter().any(|value| value == setting.text()) {
        return Ok(action);
    }
    let code = match setting.option.rule {
        "editable" => Code::DependencyRefused,
        _ => Code::ConfigRefused,
    };
    let message = format!("`--{name}` is refused: {}", rule.why);
    let finding = Finding::new(code, &setting.place, message);
    let remedy = setting.origin == Origin::Project && rule.user != Action::Refuse;
    Err(if remedy {
        finding.with_hint("remove it, or set it in your user configuration if you mean it")
    } else {
        finding
    })
}

fn note(setting: &Setting, profile: &Profile) -> Option<Finding> {
    let rule = profile.setting(setting.option.rule)?;
    let harmless = rule.harmless.iter().any(|value| value == setting.text());
    (rule.note && !harmless).then(|| {
        let message = format!("`--{}` has no effect: {}", setting.option.name(), rule.why);
        Finding::new(Code::ConfigIgnored, &setting.place, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::pip::PROFILE;

    fn stated(section: &str, key: &str, value: &str, origin: Origin) -> Stated {
        let place = format!("{section}.{key}");
        Stated {
            section: section.into(),
            key: key.into(),
            value: value.into(),
            origin,
            place,
        }
    }

    fn run(list: &[Stated], command: &'static str, line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let line = argv::parse(&words, Grammar::of(command), true).unwrap();
        let settings = effective(list, &line, command).unwrap();
        settings
            .iter()
            .map(|s| argv::render(s.option, s.value.as_deref()))
            .collect()
    }

    #[test]
    fn stronger_configuration_replaces_and_the_command_line_adds() {
        let list = [
            stated("install", "extra-index-url", "c", Origin::User),
            stated("global", "extra-index-url", "a\nb", Origin::User),
            stated("global", "unheard-of", "x", Origin::User),
            stated("download", "pre", "1", Origin::User),
            stated("global", "only-binary", "x", Origin::User),
            stated(VARIABLES, "only-binary", "y", Origin::Environment),
        ];
        assert_eq!(
            run(&list, "install", "--extra-index-url d"),
            [
                "--only-binary=x",
                "--extra-index-url=c",
                "--only-binary=y",
                "--extra-index-url=d"
            ]
        );
        assert_eq!(
            run(&list[1..2], "download", "x"),
            ["--extra-index-url=a", "--extra-index-url=b"]
        );
        assert_eq!(run(&list[1..2], "show", "x"), Vec::<String>::new());
    }

    #[test]
    fn an_empty_value_cancels_and_switches_can_be_turned_off() {
        let list = [
            stated("global", "index-url", "a", Origin::User),
            stated("global", "index-url", "", Origin::User),
            stated("global", "pre", "yes", Origin::User),
            stated(VARIABLES, "pre", "off", Origin::Environment),
            stated(VARIABLES, "verbose", "2", Origin::Environment),
        ];
        assert_eq!(run(&list, "install", "x"), ["--verbose", "--verbose"]);
        let wrong = [stated("global", "pre", "maybe", Origin::User)];
        assert!(effective(&wrong, &Line::default(), "install").is_err());
    }

    #[test]
    fn a_negative_name_takes_the_value_as_it_is() {
        // Measured: `PIP_NO_COMPILE=1` compiles, `PIP_NO_COMPILE=0` does not.
        let set = |key, value| {
            run(
                &[stated(VARIABLES, key, value, Origin::Environment)],
                "install",
                "x",
            )
        };
        assert_eq!(set("no-compile", "1"), ["--compile"]);
        assert_eq!(set("no-compile", "0"), ["--no-compile"]);
        assert_eq!(set("compile", "0"), ["--no-compile"]);
        assert_eq!(set("user", "no"), ["--no-user"]);
        assert_eq!(
            set("no-warn-script-location", "false"),
            ["--no-warn-script-location"]
        );
        assert_eq!(set("no-warn-script-location", "true"), Vec::<String>::new());
    }

    #[test]
    fn rules_depend_on_who_speaks() {
        let profile = Profile::parse(PROFILE).unwrap();
        let words = [
            "--trusted-host=h".to_owned(),
            "--pre".to_owned(),
            "--cert=c".to_owned(),
        ];
        let line = argv::parse(&words, Grammar::of("install"), true).unwrap();
        let mut settings = effective(&[], &line, "install").unwrap();
        let judged = judge(&settings, &profile);
        assert_eq!(judged.passed, ["--pre"]);
        assert_eq!(judged.findings.len(), 1);
        assert_eq!(judged.findings[0].code, Code::ConfigRefused);
        assert_eq!(judged.last("cert").unwrap().text(), "c");
        settings
            .iter_mut()
            .for_each(|setting| setting.origin = Origin::User);
        assert_eq!(
            judge(&settings, &profile).findings[0].code,
            Code::ConfigIgnored
        );
        settings
            .iter_mut()
            .for_each(|setting| setting.origin = Origin::Project);
        assert_eq!(judge(&settings, &profile).findings.len(), 2);
    }

    #[test]
    fn every_option_has_a_rule() {
        let profile = Profile::parse(PROFILE).unwrap();
        for option in super::super::options::OPTIONS {
            let own = matches!(option.rule, "help" | "hash");
            assert!(
                own || profile.setting(option.rule).is_some(),
                "{}",
                option.rule
            );
        }
    }
}
