//! Configuration that makes trusted code run code of somebody else.
//!
//! A plugin whose bytes are trusted does what its configuration says, and some of it names classes or
//! carries a program. A compiler runs the annotation processors and plugins that it is given by name, and
//! finds them among what the build itself has just compiled; a rule of the enforcer evaluates a script; the
//! test plugin runs tests that the command leaves out. The bytes of none of this are anybody's to approve,
//! so the build is refused with the line. Told is what a POM says, in whatever profile or plugin.
//!
//! Processors that no configuration names are not looked for here: what announces them is left out of every
//! view and refused where the build makes it.
//! <https://docs.oracle.com/en/java/javase/17/docs/specs/man/javac.html>.

use crate::model::xml::Element;

/// The plugin that runs the tests of a build.
const TESTER: &str = "maven-surefire-plugin";

/// Elements that leave tests in or out.
const SKIPS: [&str; 3] = ["skip", "skipTests", "skipExec"];

/// What leaves tests out as the command says.
const LEFT_TO_THE_COMMAND: [&str; 3] = ["true", "${skipTests}", "${maven.test.skip}"];

/// Elements with words for a compiler.
const WORDS: [&str; 5] = [
    "compilerArgs",
    "compilerArgument",
    "compilerArguments",
    "testCompilerArgument",
    "testCompilerArguments",
];

/// Beginnings of words that make a compiler run something, or read more words elsewhere.
const RUNNING: [&str; 5] = ["-processor", "--processor", "-Xplugin", "-J", "@"];

/// Names of what evaluates a text of the POM.
const EVALUATES: &str = "beanshell";

/// What would run, in words, with its line.
pub(super) fn runs(root: Element<'_>) -> Vec<(String, u32)> {
    let configurations = root.below().filter(|one| one.name() == "configuration");
    configurations
        .flat_map(Element::below)
        .filter_map(|one| Some((run(one)?, one.line())))
        .collect()
}

fn run(element: Element<'_>) -> Option<String> {
    let name = element.name();
    let class = element.attribute("implementation").unwrap_or_default();
    let evaluates = |text: &str| text.to_ascii_lowercase().contains(EVALUATES);
    if evaluates(name) || evaluates(class) {
        return Some(format!("the script in `<{name}>`"));
    }
    if name == "annotationProcessors" && element.children().next().is_some() {
        return Some("an annotation processor that `<annotationProcessors>` names".to_owned());
    }
    if !WORDS.contains(&name) {
        return None;
    }
    let inner = element.below().find_map(|one| {
        let text = one.text();
        let mut words = text.split_whitespace();
        let word = words.find(|word| is_running(word)).map(str::to_owned);
        // Here the name is the word.
        let named = || Some(format!("-{}", one.name())).filter(|word| is_running(word));
        word.or_else(|| named().filter(|_| name.ends_with("Arguments")))
    });
    inner.map(|word| format!("what `{word}` gives to the compiler"))
}

/// Whether a word may begin in that way, with whatever stands for a property in it.
fn is_running(word: &str) -> bool {
    let bare = |text: &str| format!("-{}", text.trim_start_matches('-'));
    match word.split_once("${") {
        None => RUNNING
            .iter()
            .any(|start| word.starts_with(start) || bare(word).starts_with(start)),
        Some((head, _)) => RUNNING
            .iter()
            .any(|start| head.starts_with(start) || start.starts_with(head)),
    }
}

/// Where the plugin that runs tests is told to run them whatever the command says.
pub(super) fn tests(root: Element<'_>) -> Vec<(String, u32)> {
    let plugins = root.below().filter(|one| {
        let artifact = one.value("artifactId").unwrap_or_default();
        one.name() == "plugin" && (artifact == TESTER || artifact.contains("${"))
    });
    let configurations = plugins
        .flat_map(Element::below)
        .filter(|one| one.name() == "configuration");
    let told = configurations.flat_map(Element::children).filter(|one| {
        let text = one.text();
        SKIPS.contains(&one.name()) && !LEFT_TO_THE_COMMAND.contains(&text.as_ref())
    });
    told.map(|one| (one.name().to_owned(), one.line()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::xml::Text;

    fn of(artifact: &str, configuration: &str) -> (usize, usize) {
        let text = format!(
            "<project><profiles><profile><build><plugins><plugin><artifactId>{artifact}</artifactId>\
             <executions><execution><configuration>{configuration}</configuration></execution>\
             </executions></plugin></plugins></build></profile></profiles></project>"
        );
        let text = Text::decode(text.as_bytes()).unwrap();
        let tree = text.tree("project").unwrap();
        (runs(tree.root()).len(), tests(tree.root()).len())
    }

    #[test]
    fn what_a_compiler_or_a_rule_would_run_is_told() {
        let arg = |text: &str| format!("<compilerArgs><arg>{text}</arg></compilerArgs>");
        for text in [
            "<annotationProcessors><x>t.A</x></annotationProcessors>",
            "<compilerArgument>-g -processor</compilerArgument>",
            "<compilerArguments><processor>t.A</processor></compilerArguments>",
            "<compilerArguments><Xplugin/></compilerArguments>",
            "<rules><evaluateBeanshell/></rules>",
            "<rules><x implementation='a.EvaluateBeanshell'/></rules>",
            &arg("-processor"),
            &arg("--processor-module-path"),
            &arg("-Xplugin:x"),
            &arg("@file"),
            &arg("${x}"),
            &arg("-${x}"),
            &arg("-processor${x}"),
        ] {
            assert_eq!(of("x", text), (1, 0), "{text}");
        }
        for text in [
            "<annotationProcessors/>",
            "<compilerArguments><Xlint/></compilerArguments>",
            "<arg>-processor</arg>",
            &arg("-Xlint:all"),
            &arg("-parameters"),
            &arg("-A${x}=1"),
            &arg("-Xlint:${x}"),
            &arg("-proc:none"),
        ] {
            assert_eq!(of("x", text), (0, 0), "{text}");
        }
    }

    #[test]
    fn tests_that_the_command_cannot_leave_out_are_told() {
        for artifact in ["maven-surefire-plugin", "maven-${x}-plugin"] {
            for text in [
                "<skipTests>false</skipTests>",
                "<skip>${x}</skip>",
                "<skipExec/>",
            ] {
                assert_eq!(of(artifact, text), (0, 1), "{text}");
            }
            for text in [
                "<skipTests>true</skipTests>",
                "<skip>${maven.test.skip}</skip>",
                "<forkCount>1</forkCount>",
            ] {
                assert_eq!(of(artifact, text), (0, 0), "{text}");
            }
        }
        assert_eq!(of("other", "<skip>false</skip>"), (0, 0));
    }
}
