//! Which artifacts the projects of a run consist of, as Maven itself resolved them.
//!
//! Nothing outside Maven tells a component of a project from a part of a plugin: both come from the
//! same repository by the same requests. So Maven gets a listener of v4run's own beside its core
//! (`maven.ext.class.path`), which after each goal appends the artifacts of the project, with scope, to
//! a file in the run's private directory; that file is read when the run is over.
//!
//! It says what belongs together and nothing about bytes: digests are those that v4run computed.
//! Trusted code of a plugin could write there too, so no permission follows from it.
//! <https://maven.apache.org/ref/3.8.7/maven-core/apidocs/org/apache/maven/execution/MojoExecutionListener.html>.

use std::collections::BTreeMap;
use std::path::Path;

use super::classfile::{Class, op};
use super::view;
use crate::manager::read;

/// The property that tells the listener where to write.
pub(super) const PROPERTY: &str = "v4run.listener";

/// Name of the jar in the private configuration directory.
pub(super) const JAR: &str = "listener.jar";

/// Name of the file in the private directory for temporary files.
pub(super) const FILE: &str = "v4run-artifacts";

/// A thousand goals with some thousand artifacts each.
const LIMIT: u64 = 256 << 20;

const NAME: &str = "v4run/Listener";
const INTERFACE: &str = "org/apache/maven/execution/MojoExecutionListener";
const EVENT: &str = "org/apache/maven/execution/MojoExecutionEvent";
const PROJECT: &str = "org/apache/maven/project/MavenProject";
const STREAM: &str = "java/io/FileOutputStream";
const BUILDER: &str = "java/lang/StringBuilder";

/// The jar with the listener.
pub(super) fn jar() -> Option<Vec<u8>> {
    let entries: [(&str, Vec<u8>); 2] = [
        (
            "META-INF/sisu/javax.inject.Named",
            b"v4run.Listener\n".to_vec(),
        ),
        ("v4run/Listener.class", class()),
    ];
    view::packed(&entries).ok()
}

/// `afterMojoExecutionSuccess` appends a line with the artifacts of the event's project; the other two
/// methods do nothing.
fn class() -> Vec<u8> {
    let mut class = Class::default();
    class.constructor("java/lang/Object");
    let kind = format!("(L{EVENT};)V");
    let mut code = Vec::new();
    class.of_class(&mut code, op::NEW, STREAM);
    code.push(op::DUP);
    class.of_text(&mut code, PROPERTY);
    let property = "(Ljava/lang/String;)Ljava/lang/String;";
    class.call(
        &mut code,
        op::INVOKESTATIC,
        ("java/lang/System", "getProperty", property),
    );
    // To append.
    code.push(op::ICONST_1);
    class.call(
        &mut code,
        op::INVOKESPECIAL,
        (STREAM, "<init>", "(Ljava/lang/String;Z)V"),
    );
    code.extend([op::ASTORE_2, op::ALOAD_2]);
    class.of_class(&mut code, op::NEW, BUILDER);
    code.push(op::DUP);
    class.call(&mut code, op::INVOKESPECIAL, (BUILDER, "<init>", "()V"));
    code.push(op::ALOAD_1);
    let project = format!("()L{PROJECT};");
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        (EVENT, "getProject", &project),
    );
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        (PROJECT, "getArtifacts", "()Ljava/util/Set;"),
    );
    let append = |of: &str| format!("(L{of};)L{BUILDER};");
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        (BUILDER, "append", &append("java/lang/Object")),
    );
    class.of_text(&mut code, "\n");
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        (BUILDER, "append", &append("java/lang/String")),
    );
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        (BUILDER, "toString", "()Ljava/lang/String;"),
    );
    class.of_text(&mut code, "UTF-8");
    class.call(
        &mut code,
        op::INVOKEVIRTUAL,
        ("java/lang/String", "getBytes", "(Ljava/lang/String;)[B"),
    );
    class.call(&mut code, op::INVOKEVIRTUAL, (STREAM, "write", "([B)V"));
    code.push(op::ALOAD_2);
    class.call(&mut code, op::INVOKEVIRTUAL, (STREAM, "close", "()V"));
    code.push(op::RETURN);
    class.method("afterMojoExecutionSuccess", &kind, &code);
    for name in ["beforeMojoExecution", "afterExecutionFailure"] {
        class.method(name, &kind, &[op::RETURN]);
    }
    let annotations = ["Ljavax/inject/Named;", "Ljavax/inject/Singleton;"];
    class.finish(NAME, "java/lang/Object", &[INTERFACE], &annotations)
}

/// One artifact of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub(super) group: String,
    pub(super) artifact: String,
    /// Maven's word for the kind of file, often its extension.
    pub(super) kind: String,
    pub(super) classifier: Option<String>,
    /// Of a snapshot the one that ends in `-SNAPSHOT`.
    pub(super) version: String,
}

/// The artifacts of all projects with the widest scope of each; nothing when no goal ended well.
pub(super) fn listed(file: &Path) -> Option<BTreeMap<Listed, String>> {
    let bytes = read::file(file, LIMIT).ok().flatten()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut found: BTreeMap<Listed, String> = BTreeMap::new();
    for line in text.lines() {
        let inner = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let all = inner.unwrap_or_default().split(", ");
        for (listed, scope) in all.filter_map(one) {
            let known = found.entry(listed).or_insert_with(|| scope.to_owned());
            if width(scope) > width(known) {
                scope.clone_into(known);
            }
        }
    }
    Some(found)
}

/// `group:artifact:kind[:classifier]:version:scope`.
fn one(text: &str) -> Option<(Listed, &str)> {
    let parts: Vec<&str> = text.split(':').collect();
    let (group, artifact, kind, classifier, version, scope) = match parts.as_slice() {
        [group, artifact, kind, version, scope] => (group, artifact, kind, None, version, scope),
        [group, artifact, kind, classifier, version, scope] => {
            (group, artifact, kind, Some(*classifier), version, scope)
        }
        _ => return None,
    };
    let listed = Listed {
        group: (*group).to_owned(),
        artifact: (*artifact).to_owned(),
        kind: (*kind).to_owned(),
        classifier: classifier.map(str::to_owned),
        version: (*version).to_owned(),
    };
    Some((listed, scope))
}

/// One artifact may be of several modules.
fn width(scope: &str) -> usize {
    let scopes = ["test", "system", "provided", "runtime", "compile"];
    let place = scopes.iter().position(|known| *known == scope);
    place.map_or(0, |place| place.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_listener_wrote_is_read_back() {
        let guard = tempfile::tempdir().unwrap();
        let file = guard.path().join(FILE);
        assert!(listed(&file).is_none());
        let text = "[]\n[g:a:jar:1:test, g:b:test-jar:tests:2-SNAPSHOT:runtime]\n\
                    [g:a:jar:1:compile, nonsense]\nbroken\n";
        std::fs::write(&file, text).unwrap();
        let all = listed(&file).unwrap();
        let all: Vec<_> = all
            .iter()
            .map(|(one, scope)| (one.artifact.as_str(), one.kind.as_str(), scope.as_str()))
            .collect();
        assert_eq!(all, [("a", "jar", "compile"), ("b", "test-jar", "runtime")]);
    }

    #[test]
    fn the_jar_announces_one_class() {
        let jar = jar().unwrap();
        assert!(jar.starts_with(b"PK\x03\x04"));
        let class = class();
        assert!(jar.windows(class.len()).any(|window| window == class));
        assert!(class.windows(14).any(|window| window == NAME.as_bytes()));
    }
}
